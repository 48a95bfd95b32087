/**
 * A worker thread's way to the log: only the main thread writes, so that lines of several threads are never mixed. A main
 * thread that is busy must not make its workers wait, nor fill the memory with messages, so what is under way is bounded
 * and what comes beyond that is dropped and counted. Both ends share two counters.
 */
import type { LogOutput } from './log-output';

/** Hundreds of lines: the main thread comes by within milliseconds. */
const MAX_UNDER_WAY_BYTES = 256 * 1024;

const UNDER_WAY = 0;
const DROPPED = 1;

/** What both ends know; structured-cloneable. */
export type LaneCounters = Int32Array;

export function laneCounters(): LaneCounters {
  return new Int32Array(new SharedArrayBuffer(8));
}

/** The worker's end. */
export class LogLane {
  constructor(
    private readonly counters: LaneCounters,
    private readonly send: (line: string) => void,
  ) {}

  write(line: string): void {
    if (Atomics.load(this.counters, UNDER_WAY) + line.length > MAX_UNDER_WAY_BYTES) {
      Atomics.add(this.counters, DROPPED, 1);
      return;
    }
    Atomics.add(this.counters, UNDER_WAY, line.length);
    this.send(line);
  }
}

/** The main thread's end: what to do with a line that came. */
export function takeFromLane(counters: LaneCounters, line: string, output: LogOutput): void {
  Atomics.sub(counters, UNDER_WAY, line.length);
  output.addDropped(Atomics.exchange(counters, DROPPED, 0), 'the main thread was busy');
  output.write(line);
}
