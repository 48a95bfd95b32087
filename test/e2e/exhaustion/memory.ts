import { readFileSync, writeFileSync } from 'node:fs';
import type { LabProcess } from '../../../src/lab/lab-process';

/** Most memory that a program has had resident since `forgetPeak`, MB. */
export function peakMemory({ pid }: Pick<LabProcess, 'pid'>): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1]) / 1024;
}

/** proc(5), clear_refs: 5 resets the peak to what is resident now. */
export function forgetPeak({ pid }: Pick<LabProcess, 'pid'>): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}
