/** What a function's cost is a multiple of: see calibrations.ts. */
export type Yardstick = 'scan' | 'syscall';

/** A hot function, ready to be called. */
export interface Micro {
  /** For a reader, and the key of its entry in measured.json. */
  readonly name: string;
  readonly yardstick: Yardstick;
  /** How often `batch` calls it: a batch should take tens of microseconds, far less than a time slice. */
  readonly calls: number;
  readonly batch: () => void;
  readonly close?: () => void;
}

/** Where values go that nobody needs: V8 leaves out what has no effect. */
export const sink = { value: 0 };
