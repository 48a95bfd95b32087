/**
 * Loads the steering program, attaches it at tc ingress and pins it with its maps.
 *
 *   PIN/flows, PIN/backends, PIN/backend_names, PIN/drops   the maps, taken up again by a restarted front
 *   PIN/program                                             the program, for whoever inspects it
 *
 * Nothing of this is undone when the front stops: handed-off connections go on being steered.
 */
import { mkdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import {
  attachIngress,
  BpfObject,
  closeBpf,
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

export interface SteeringOptions {
  /** The client-facing interface. */
  readonly interface: string;
  /** Directory in a bpf file system; made when missing. */
  readonly pin: string;
  readonly maxFlows: number;
}

const OBJECT_FILE = join(__dirname, 'steer.bpf.o');
const PROGRAM = 'baton_steer';
const MAPS = ['flows', 'backends', 'backend_names', 'drops'] as const;
/** What a map's key and value must measure for this program to use it. */
const FLOWS_LAYOUT = { keyBytes: FLOW_BYTES, valueBytes: layout.FLOW_VALUE_BYTES };
/** BPF_FS_MAGIC, include/uapi/linux/magic.h. */
const BPF_FS_MAGIC = 0xcafe4a11;

export class Steering {
  readonly flows: EbpfFlowTable;
  readonly backends: BackendNumbers;
  readonly #object: BpfObject;
  /** Set when an existing table was kept although the configuration asks for another size. */
  readonly keptCapacity: boolean;

  private constructor(object: BpfObject, maxFlows: number) {
    this.#object = object;
    this.flows = new EbpfFlowTable(object.mapFd('flows'));
    this.backends = new BackendNumbers(object.mapFd('backend_names'), object.mapFd('backends'));
    this.keptCapacity = this.flows.capacity !== maxFlows;
  }

  /** Throws an Error whose message names the step, the cause and the remedy. */
  static open(options: SteeringOptions): Steering {
    const ifindex = ifNameToIndex(options.interface);
    if (ifindex === 0) throw new Error(`steering.interface: there is no interface ${options.interface}`);
    preparePinDirectory(options.pin);

    const object = BpfObject.open(OBJECT_FILE);
    try {
      object.setMaxEntries('flows', options.maxFlows);
      const fresh = MAPS.filter((map) => !takeUp(object, map, join(options.pin, map)));
      object.load();
      for (const map of fresh) object.pinMap(map, join(options.pin, map));
      // The commit point: packets are steered by the new program from here on.
      attachIngress(ifindex, object.programFd(PROGRAM));
      rmSync(join(options.pin, 'program'), { force: true });
      pin(object.programFd(PROGRAM), join(options.pin, 'program'));
      return new Steering(object, options.maxFlows);
    } catch (error) {
      object.close();
      throw error;
    }
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

function preparePinDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new Error(`steering.pin: make ${directory}: ${(cause as Error).message}`, { cause });
  }
  if (statfsSync(directory).type !== BPF_FS_MAGIC) {
    throw new Error(`steering.pin: ${directory} is not in a bpf file system: mount -t bpf bpf /sys/fs/bpf`);
  }
}

/** Uses a pinned map in place of a new one; false when there is none. */
function takeUp(object: BpfObject, map: string, path: string): boolean {
  const fd = openPinned(path);
  if (fd === undefined) return false;
  try {
    const info = mapInfo(fd);
    const { keyBytes, valueBytes } = FLOWS_LAYOUT;
    if (map === 'flows' && (info.keyBytes !== keyBytes || info.valueBytes !== valueBytes)) {
      throw new Error(
        `steering.pin: ${path} is of another version of Baton (${info.keyBytes}+${info.valueBytes} bytes an entry, ` +
          `not ${keyBytes}+${valueBytes}): drain its connections, then remove the directory`,
      );
    }
    object.reuseMap(map, fd);
    return true;
  } finally {
    closeBpf(fd);
  }
}
