/**
 * Loads the steering program, attaches it at tc ingress and pins it with its maps.
 *
 *   PIN/flows, PIN/backends, PIN/backend_names, PIN/drops   the maps, taken up again by a restarted front
 *   PIN/program                                             the program, for whoever inspects it
 *
 * Nothing of this is undone when the front stops: handed-off connections go on being steered.
 */
import { execFileSync } from 'node:child_process';
import { rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  attachIngress,
  BpfObject,
  closePinned,
  detachIngress,
  mapInfo,
  mapLookup,
  openPinned,
  pin,
  possibleCpus,
} from '../kernel/bpf';
import { FLOW_BYTES } from '../kernel/flow';
import { ifNameToIndex } from '../kernel/libc';
import { BackendNumbers } from './backend-numbers';
import { EbpfFlowTable } from './ebpf-flow-table';
import * as layout from './layout';
import { preparePinDirectory } from './pin-directory';

export interface SteeringOptions {
  /** The client-facing interface. */
  readonly interface: string;
  /** Directory in a bpf file system, of this user alone; made when missing (pin-directory.ts). */
  readonly pin: string;
  readonly maxFlows: number;
  /** Whether a flow table has to be there: another front steers by it, and a new one would cut its connections. */
  readonly mustExist?: boolean;
}

/** Beside its room, since the code may be in a bundle in another one (deploy/build.sh). */
const OBJECT_FILE = join(__dirname, '../steer/steer.bpf.o');
const PROGRAM = 'baton_steer';
/** The maps with what an entry's key and value measure, bytes: a pinned one of another size is of another version. */
const MAPS = {
  flows: { keyBytes: FLOW_BYTES, valueBytes: layout.FLOW_VALUE_BYTES },
  backends: { keyBytes: 4, valueBytes: layout.COUNTERS_BYTES },
  backend_names: { keyBytes: 4, valueBytes: layout.BACKEND_NAME_BYTES },
  drops: { keyBytes: 4, valueBytes: 8 },
} as const;
type MapName = keyof typeof MAPS;
const MAP_NAMES = Object.keys(MAPS) as MapName[];

interface Installation {
  readonly ifindex: number;
  readonly pin: string;
  /** Whether the flow table is new, so that nothing is steered by it yet. */
  fresh: boolean;
}

export class Steering {
  readonly flows: EbpfFlowTable;
  readonly backends: BackendNumbers;
  readonly #object: BpfObject;
  /** Set when an existing table was kept although the configuration asks for another size. */
  readonly keptCapacity: boolean;

  private constructor(
    object: BpfObject,
    maxFlows: number,
    /** What was open to others in the pin directory and no longer is, for the log. */
    readonly repaired: readonly string[],
    private readonly installed: Installation,
  ) {
    this.#object = object;
    this.flows = new EbpfFlowTable(object.mapFd('flows'), object.programFd('baton_review'));
    this.backends = new BackendNumbers(object.mapFd('backend_names'), object.mapFd('backends'));
    this.keptCapacity = this.flows.capacity !== maxFlows;
  }

  /** Throws an Error whose message names the step, the cause and the remedy. */
  static open(options: SteeringOptions): Steering {
    const ifindex = ethernetInterface(options.interface);
    const repaired = preparePinDirectory(options.pin);

    const installed: Installation = { ifindex, pin: options.pin, fresh: false };
    const object = BpfObject.open(OBJECT_FILE);
    try {
      object.setMaxEntries('flows', options.maxFlows);
      const missing = MAP_NAMES.filter((map) => !takeUp(object, map, join(options.pin, map)));
      if (options.mustExist === true && missing.includes('flows')) {
        throw new Error(`steering.pin: the running front's flow table is not in ${options.pin} any more`);
      }
      object.load();
      installed.fresh = missing.includes('flows');
      for (const map of missing) object.pinMap(map, join(options.pin, map));
      // The commit point: packets are steered by the new program from here on.
      attachIngress(ifindex, object.programFd(PROGRAM));
      rmSync(join(options.pin, 'program'), { force: true });
      pin(object.programFd(PROGRAM), join(options.pin, 'program'));
      return new Steering(object, options.maxFlows, repaired, installed);
    } catch (error) {
      object.close();
      if (installed.fresh) removePins(options.pin);
      throw error;
    }
  }

  /**
   * The undo of open, for a front that could not start: takes away what open has installed. A flow table that was there
   * before stays, and so does its program: flows may be live.
   */
  abandon(): void {
    if (this.installed.fresh) {
      detachIngress(this.installed.ifindex);
      removePins(this.installed.pin);
    }
    this.close();
  }

  /** Packets of known flows that were dropped, by reason, since the maps were made. */
  drops(): Record<(typeof layout.DROP_REASONS)[number], number> {
    const key = Buffer.alloc(4);
    const value = Buffer.alloc(8 * possibleCpus());
    const totals = layout.DROP_REASONS.map((reason, index) => {
      key.writeUInt32LE(index, 0);
      mapLookup(this.#object.mapFd('drops'), key, value);
      let total = 0;
      for (let at = 0; at < value.length; at += 8) total += layout.readU64(value, at);
      return [reason, total] as const;
    });
    return Object.fromEntries(totals) as Record<(typeof layout.DROP_REASONS)[number], number>;
  }

  /** Lets go of the descriptors. Program and maps stay where they are: attached and pinned. */
  close(): void {
    this.#object.close();
  }
}

/** The index of an interface whose packets begin with an Ethernet header: the program finds the IP header behind one. */
function ethernetInterface(name: string): number {
  const ifindex = ifNameToIndex(name);
  if (ifindex === 0) throw new Error(`steering.interface: there is no interface ${name}`);
  const [link] = JSON.parse(showLink(name)) as { link_type?: string }[];
  if (link?.link_type !== 'ether') {
    throw new Error(
      `steering.interface: ${name} is of type ${link?.link_type ?? 'unknown'}, only Ethernet is steered`,
    );
  }
  return ifindex;
}

function showLink(name: string): string {
  try {
    return execFileSync('ip', ['-json', 'link', 'show', 'dev', name], { encoding: 'utf8', stdio: 'pipe' });
  } catch (cause) {
    const { stderr = '', message } = cause as Error & { stderr?: string };
    throw new Error(`steering.interface: ${stderr.trim() || message} (is iproute2 installed?)`, { cause });
  }
}

/** Removes our pins and their directory, which holds nothing else. */
function removePins(directory: string): void {
  for (const name of [...MAP_NAMES, 'program']) rmSync(join(directory, name), { force: true });
  try {
    rmdirSync(directory);
  } catch {
    // A mount point, or in a directory of root: whoever made it for the front removes it.
  }
}

/** Uses a pinned map in place of a new one; false when there is none. */
function takeUp(object: BpfObject, map: MapName, path: string): boolean {
  const fd = openPinned(path);
  if (fd === undefined) return false;
  try {
    const info = mapInfo(fd);
    const { keyBytes, valueBytes } = MAPS[map];
    if (info.keyBytes !== keyBytes || info.valueBytes !== valueBytes) {
      throw new Error(
        `steering.pin: ${path} is of another version of Baton (${info.keyBytes}+${info.valueBytes} bytes an entry, ` +
          `not ${keyBytes}+${valueBytes}): drain its connections, then remove the directory`,
      );
    }
    object.reuseMap(map, fd);
    return true;
  } finally {
    closePinned(fd);
  }
}
