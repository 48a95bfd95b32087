import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../src/lab/host';
import type { Lab } from '../../src/lab/lab';
import type { LabProcess } from '../../src/lab/lab-process';
import { type Packet, parsePcap } from './pcap';

export interface CaptureOptions {
  /** A pcap filter: `tcp port 80`. */
  readonly filter: string;
  /** Where the capture goes; by default into the lab's directory. */
  readonly file?: string;
  /** `eth0` by default. */
  readonly interface?: string;
}

export interface Capture {
  /** Ends the capture and returns all packets seen until now. Throws where the kernel had to drop some. */
  stop(): Promise<Packet[]>;
}

/** Enough for every header and the beginning of a head. */
const SNAPSHOT_BYTES = 200;

/** KiB between kernel and tcpdump: several seconds of a busy client, so that a loaded machine loses nothing. */
const BUFFER_KIB = 16_384;

const TIMEOUT_MS = 5_000;

const STATISTICS =
  /(\d+) packets? captured, (\d+) packets? received by filter, (\d+) packets? dropped by kernel/;

let captures = 0;

/** Captures what passes an interface of the host; packets sent after this resolves are seen. */
export async function capture(lab: Lab, host: Host, options: CaptureOptions): Promise<Capture> {
  const name = options.interface ?? 'eth0';
  const file = options.file ?? join(lab.dir, `${host.name}-${++captures}.pcap`);
  const flags = ['-U', '-n', '--immediate-mode', '-s', `${SNAPSHOT_BYTES}`, '-B', `${BUFFER_KIB}`];
  // Without -Z tcpdump gives up root and may not write into the lab's directory.
  const tcpdump = host.spawn(['tcpdump', '-i', name, '-w', file, '-Z', 'root', ...flags, options.filter]);
  await tcpdump.waitForLine(/listening on/, TIMEOUT_MS);
  // What came before the filter was in place was received and thrown away, and will never be written.
  const thrownAway = await unwritten(tcpdump, 1, name === 'lo');
  return {
    stop: async () => {
      await drain(tcpdump, name === 'lo', thrownAway);
      tcpdump.kill('SIGINT');
      await tcpdump.exited;
      return parsePcap(await readFile(file));
    },
  };
}

/** Waits until tcpdump has written what the kernel has queued for it, which it would throw away when it ends. */
async function drain(tcpdump: LabProcess, loopback: boolean, thrownAway: number): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS;
  for (let round = 2; ; round++) {
    const left = await unwritten(tcpdump, round, loopback);
    if (left <= thrownAway) return;
    if (performance.now() > deadline)
      throw new Error(`capture: ${left - thrownAway} packets are not written`);
  }
}

/**
 * How many packets the kernel has received for tcpdump and tcpdump has not written. It tells both counts on SIGUSR1. On the
 * loopback the kernel counts each packet twice, going out and coming in.
 */
async function unwritten(tcpdump: LabProcess, round: number, loopback: boolean): Promise<number> {
  tcpdump.kill('SIGUSR1');
  const [, captured, received, dropped] = STATISTICS.exec(await answer(tcpdump, round)) ?? [];
  if (Number(dropped) > 0) throw new Error(`capture: the kernel dropped ${String(dropped)} packets`);
  return Math.ceil(Number(received) / (loopback ? 2 : 1)) - Number(captured);
}

/** The n-th statistics line: the earlier ones stay among the lines of the process. */
function answer(tcpdump: LabProcess, round: number): Promise<string> {
  let seen = 0;
  return tcpdump.waitForLine((line) => STATISTICS.test(line) && ++seen === round, TIMEOUT_MS);
}
