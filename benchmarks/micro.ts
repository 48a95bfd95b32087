/**
 * `npm run bench:micro -- [--check | --ratios | --json]`
 *
 * Measures the hot functions one by one and prints what each costs, in microseconds and in multiples of a yardstick that is
 * measured beside it. --check ends with 1 if one costs twice what micro/measured.json says; --ratios writes that file. Needs
 * CAP_NET_ADMIN and CAP_BPF, and the build for the flow table.
 */
import { execFileSync } from 'node:child_process';
import { cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import { calibrations } from './micro/calibrations';
import { checkSnapshot, decode, encode } from './micro/frames';
import { measure, type Cost } from './micro/measure';
import type { Micro } from './micro/micro';
import { closingHead, peek } from './micro/peek';
import { complaintAbout, readRatios, TOLERANCE, writeRatios, type Ratios } from './micro/ratios';
import { dump, freeze, live, restore } from './micro/repair';
import { route } from './micro/route';
import { steer } from './micro/steer';
import { spreadOf } from './spread';
import { markdown } from './table';

const ALL: readonly (() => Micro)[] = [
  peek,
  route,
  closingHead,
  encode,
  decode,
  checkSnapshot,
  freeze,
  dump,
  restore,
  live,
  steer,
];
/** A cost that is too high is measured again so often: it may have been the machine. */
const ATTEMPTS = 3;
/** For --ratios. */
const PROCESSES = 5;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { check: { type: 'boolean' }, ratios: { type: 'boolean' }, json: { type: 'boolean' } },
  });
  if (values.ratios === true) {
    measureRatios();
    return;
  }
  const ratios = readRatios();
  const costs = await costsOf(ratios, values.check === true ? ATTEMPTS : 1);
  process.stdout.write(values.json === true ? JSON.stringify(costs) : `${tableOf(costs, ratios)}\n`);
  if (values.check !== true) return;
  for (const cost of costs) {
    const complaint = complaintAbout(cost, ratios);
    if (complaint === undefined) continue;
    process.stderr.write(`bench:micro: ${complaint}\n`);
    process.exitCode = 1;
  }
}

async function costsOf(ratios: Ratios, attempts: number): Promise<Cost[]> {
  const yardsticks = calibrations();
  const costs: Cost[] = [];
  for (const make of ALL) {
    const micro = make();
    costs.push(await costOf(micro, yardsticks[micro.yardstick], ratios, attempts));
    micro.close?.();
  }
  for (const { close } of Object.values(yardsticks)) close?.();
  return costs;
}

async function costOf(micro: Micro, yardstick: Micro, ratios: Ratios, attempts: number): Promise<Cost> {
  for (let attempt = 1; ; attempt++) {
    const cost = await measure(micro, yardstick);
    if (attempt === attempts || complaintAbout(cost, ratios) === undefined) return cost;
  }
}

function measureRatios(): void {
  const runs = Array.from({ length: PROCESSES }, () => {
    const argv = [...process.execArgv, __filename, '--json'];
    return JSON.parse(execFileSync(process.execPath, argv, { encoding: 'utf8' })) as Cost[];
  });
  const names = (runs[0] ?? []).map(({ name }) => name);
  const ratios = names.map((name) => {
    const costs = runs.flatMap((costs) => costs.filter((cost) => cost.name === name));
    const { median, least, most } = spreadOf(costs.map(({ call, unit }) => call / unit));
    process.stdout.write(`${name}: ${median.toFixed(3)} (${least.toFixed(3)}-${most.toFixed(3)})\n`);
    return [name, Number(median.toFixed(3))] as const;
  });
  const date = new Date().toISOString().slice(0, 10);
  const machine = `${cpus().length} CPUs, Linux ${release().split('-', 1)[0] ?? ''}, Node ${process.version}`;
  const measured = `${date}, ${machine}, medians of ${PROCESSES} processes; by npm run bench:micro -- --ratios`;
  writeRatios({ measured, ratios: Object.fromEntries(ratios) });
}

function tableOf(costs: readonly Cost[], { ratios }: Ratios): string {
  const lines = costs.map(({ name, yardstick, call, unit }) => [
    name,
    call.toFixed(2),
    `${yardstick} ${unit.toFixed(2)}`,
    (call / unit).toFixed(2),
    (TOLERANCE * (ratios[name] ?? NaN)).toFixed(2),
  ]);
  return markdown(['', 'µs', 'yardstick, µs', 'ratio', 'at most'], lines);
}

main().catch((error: unknown) => {
  process.stderr.write(`bench:micro: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
