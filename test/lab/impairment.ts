/**
 * Bad cables: packets between a host and the switch are dropped, doubled and delayed at random by an eBPF program
 * (impairment.bpf.c), and every one of them is counted.
 *
 *     const cables = await Impairment.attach(lab);
 *     cables.set('c1', { drop: 0.01, duplicate: 0.01, delay: 0.01 });     // shares of the packets, each way
 *     ...
 *     cables.counts('c1')         // { seen, dropped, duplicated, delayed, rejoined } since it was attached
 *     cables.set('c1', {});       // a good cable again
 *     await cables.detach();      // or leave it to the lab's end
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BpfObject, mapLookup, mapUpdate, pin } from '../../src/kernel/bpf';
import { must } from '../../src/kernel/errors';
import { execute } from '../../src/lab/execute';
import { configure, inNamespace } from '../../src/lab/ip';
import type { Lab } from '../../src/lab/lab';

/** Shares of the packets, 0 to 1; 0 where nothing is said. */
export interface Rates {
  readonly drop?: number;
  readonly duplicate?: number;
  /** Sent on up to some 20 ms late, so that others get ahead. */
  readonly delay?: number;
}

export interface Counts {
  readonly seen: number;
  readonly dropped: number;
  readonly duplicated: number;
  readonly delayed: number;
  /** Delayed packets and late duplicates that have come to the end of their detour. */
  readonly rejoined: number;
}

const SOURCE = join(__dirname, 'impairment.bpf.c');
const NAMES = ['seen', 'dropped', 'duplicated', 'delayed', 'rejoined'] as const;
const MARK_TO_HOST = 0x20000000;
const PROGRAMS = ['from_host', 'to_host', 'rejoin'] as const;

/** One packet of 1,500 bytes every 0.5 ms (SLOT_NS), whatever its size; room for 200. */
const BUCKET = 'tbf rate 24mbit burst 1600 limit 300000 mpu 1500';
/** What an interface says by default. */
const SEGMENTS_DEFAULT = 65_535;

export class Impairment {
  private constructor(
    private readonly lab: Lab,
    private readonly object: BpfObject,
    private readonly ports: ReadonlyMap<string, number>,
    private readonly detour: number,
  ) {}

  /**
   * Puts the program on every host's port; all cables are good until `set`. Hosts send whole packets from here on: a
   * lab's interfaces would take 64 KiB of a stream as one, and lose it as one.
   */
  static async attach(lab: Lab): Promise<Impairment> {
    const file = join(lab.dir, 'impairment.o');
    await compile(file);
    const object = BpfObject.open(file);
    try {
      object.load();
      const pins = join(lab.pin, 'impairment');
      mkdirSync(pins, { recursive: true, mode: 0o700 });
      for (const program of PROGRAMS) pin(object.programFd(program), join(pins, program));
      const sw = `${lab.id}-sw`;
      await layDetour(sw, pins);
      const indexes = await interfaceIndexes(sw);
      const ports = new Map<string, number>();
      for (const host of hostsOf(lab)) {
        const port = `${host}-eth0`;
        await filter(sw, port, 'ingress', join(pins, 'from_host'));
        await filter(sw, port, 'egress', join(pins, 'to_host'));
        ports.set(host, indexes.get(port) ?? 0);
      }
      await segmentsPerPacket(lab, 1);
      const made = new Impairment(lab, object, ports, indexes.get('detour0') ?? 0);
      for (const host of ports.keys()) made.#reset(host);
      return made;
    } catch (error) {
      object.close();
      throw error;
    }
  }

  /** Takes the programs off and lets hosts send as before; counts are gone. */
  async detach(): Promise<void> {
    const sw = `${this.lab.id}-sw`;
    for (const host of this.ports.keys())
      await command(sw, ['tc', 'qdisc', 'del', 'dev', `${host}-eth0`, 'clsact']);
    await configure(sw, {}, ['link del detour0']);
    await segmentsPerPacket(this.lab, SEGMENTS_DEFAULT);
    rmSync(join(this.lab.pin, 'impairment'), { recursive: true, force: true });
    this.object.close();
  }

  /** From the next packet on, in both directions of the host's cable. */
  set(host: string, { drop = 0, duplicate = 0, delay = 0 }: Rates): void {
    const value = Buffer.alloc(16);
    [drop, duplicate, delay].forEach((share, index) => value.writeUInt32LE(chance(share), index * 4));
    value.writeUInt32LE(this.detour, 12);
    must(mapUpdate(this.object.mapFd('ports'), this.#key(host, 0), value), `set rates of ${host}`);
  }

  /** What the host's cable has done so far: to packets from it and to it. */
  counts(host: string): Counts {
    const value = Buffer.alloc(8 * NAMES.length);
    const sums = NAMES.map(() => 0);
    for (const direction of [0, MARK_TO_HOST]) {
      must(mapLookup(this.object.mapFd('counts'), this.#key(host, direction), value), `counts of ${host}`);
      NAMES.forEach(
        (_, index) => (sums[index] = (sums[index] ?? 0) + Number(value.readBigUInt64LE(index * 8))),
      );
    }
    return Object.fromEntries(NAMES.map((name, index) => [name, sums[index]])) as unknown as Counts;
  }

  /** The same, of several cables together. */
  total(hosts: readonly string[]): Counts {
    const all = hosts.map((host) => this.counts(host));
    const sum = (name: keyof Counts): number => all.reduce((total, counts) => total + counts[name], 0);
    return Object.fromEntries(NAMES.map((name) => [name, sum(name)])) as unknown as Counts;
  }

  #reset(host: string): void {
    this.set(host, {});
    const zero = Buffer.alloc(8 * NAMES.length);
    for (const direction of [0, MARK_TO_HOST])
      must(
        mapUpdate(this.object.mapFd('counts'), this.#key(host, direction), zero),
        `reset counts of ${host}`,
      );
  }

  #key(host: string, direction: number): Buffer {
    const index = this.ports.get(host);
    if (index === undefined) throw new RangeError(`impairment: this lab has no host ${host}`);
    const key = Buffer.alloc(4);
    key.writeUInt32LE(index | direction);
    return key;
  }
}

/** In units of 2^-32. */
function chance(share: number): number {
  if (!(share >= 0 && share <= 1)) throw new RangeError(`impairment: ${share} is no share`);
  return Math.min(2 ** 32 - 1, Math.round(share * 2 ** 32));
}

function hostsOf(lab: Lab): string[] {
  return [...lab.clients, ...lab.fronts, ...lab.backends].map(({ name }) => name);
}

async function compile(target: string): Promise<void> {
  // As in deploy/build.sh: the bpf target does not search the directory of the architecture's headers.
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const headers = `-I/usr/include/${machine}-linux-gnu`;
  const argv = [
    'clang',
    '-O2',
    '-g',
    '-Wall',
    '-Werror',
    '-target',
    'bpf',
    headers,
    '-c',
    SOURCE,
    '-o',
    target,
  ];
  const { code, stderr } = await execute(argv, { timeoutMs: 30_000 });
  if (code !== 0) throw new Error(`compile ${SOURCE}: ${stderr}`);
}

async function layDetour(sw: string, pins: string): Promise<void> {
  await configure(sw, {}, [
    'link add detour0 type veth peer name detour1',
    'link set detour0 up',
    'link set detour1 up',
  ]);
  await command(sw, ['tc', 'qdisc', 'add', 'dev', 'detour0', 'root', ...BUCKET.split(' ')]);
  await filter(sw, 'detour1', 'ingress', join(pins, 'rejoin'));
}

async function filter(
  netns: string,
  device: string,
  hook: 'ingress' | 'egress',
  program: string,
): Promise<void> {
  await command(netns, ['tc', 'qdisc', 'replace', 'dev', device, 'clsact']);
  await command(netns, ['tc', 'filter', 'add', 'dev', device, hook, 'bpf', 'da', 'object-pinned', program]);
}

function segmentsPerPacket(lab: Lab, count: number): Promise<unknown> {
  const all = hostsOf(lab).map((host) => lab.host(host).netns);
  return Promise.all(all.map((netns) => configure(netns, {}, [`link set dev eth0 gso_max_segs ${count}`])));
}

async function interfaceIndexes(netns: string): Promise<Map<string, number>> {
  const links = JSON.parse(await command(netns, ['ip', '-json', 'link'])) as {
    ifname: string;
    ifindex: number;
  }[];
  return new Map(links.map(({ ifname, ifindex }) => [ifname, ifindex]));
}

async function command(netns: string, argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await execute(inNamespace(netns, argv));
  if (code !== 0) throw new Error(`${argv.join(' ')}: ${stderr.trim()}`);
  return stdout;
}
