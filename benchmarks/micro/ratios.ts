/**
 * What each hot function may cost, as a multiple of its yardstick: measured.json has what it cost when that was last measured,
 * and twice that is too much. `npm run bench:micro -- --ratios` measures anew, on a machine that has nothing else to do, in
 * several processes (V8 does not compile the same code in the same way every time), and writes the medians.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cost } from './measure';

const FILE = join(__dirname, 'measured.json');
/** From here on a function has become slower. */
export const TOLERANCE = 2;

export interface Ratios {
  /** When and on what they were measured. */
  readonly measured: string;
  readonly ratios: Readonly<Record<string, number>>;
}

export function readRatios(): Ratios {
  return JSON.parse(readFileSync(FILE, 'utf8')) as Ratios;
}

export function writeRatios(ratios: Ratios): void {
  writeFileSync(FILE, JSON.stringify(ratios, undefined, 2) + '\n');
}

/** What is wrong with a cost, in a line; undefined where nothing is. */
export function complaintAbout(cost: Cost, { ratios }: Ratios): string | undefined {
  const { name, call, unit } = cost;
  const ratio = ratios[name];
  if (ratio === undefined) return `${name}: no ratio is known, see --ratios`;
  const most = TOLERANCE * ratio * unit;
  if (call <= most) return undefined;
  return (
    `${name} takes ${call.toFixed(2)} µs, and may take ${most.toFixed(2)} µs: ` +
    `${TOLERANCE} x ${ratio.toFixed(2)} ${cost.yardstick}s of ${unit.toFixed(2)} µs each`
  );
}
