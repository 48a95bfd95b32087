import { Cluster } from '../../src/lab/cluster';
import { Impairment, type Counts, type Rates } from '../lab/impairment';
import { amount } from '../soak';
import { kernelCounters, type KernelCounters } from './odd/kernel-counters';
import {
  APP,
  countsOf,
  expectNothingLeft,
  percentiles,
  quietFds,
  report,
  runClient,
  type LoadResult,
} from './support';

/**
 * A network that loses, doubles and delays packets while connections are handed off, with uploads and downloads under way:
 * whatever the client and the backend send each other arrives, once and in order. Any packet may be the one: of a
 * handshake, of a head, of a body in the first flight, of the control channel, or one that is steered.
 */

const CONNECTIONS = amount(2_000, 20_000);
const PARALLEL = 48;
const TIMEOUT_MS = amount(120_000, 1_200_000);

const LOSS = { drop: 0.01 };
const DUPLICATES = { duplicate: 0.01 };
const REORDERING = { delay: 0.01 };
const ALL = { ...LOSS, ...DUPLICATES, ...REORDERING };

interface Stage {
  readonly name: string;
  readonly rates: Rates;
  /** Whose cables are bad. */
  readonly on: readonly string[];
  /** Of all connections. */
  readonly share: number;
  /** Of its connections: offers that are too late, because the control channel has to send again, are relayed. */
  readonly mostRelayed: number;
}

const STAGES: readonly Stage[] = [
  { name: 'loss at the client', rates: LOSS, on: ['c1'], share: 0.15, mostRelayed: 0 },
  { name: 'duplicates at the client', rates: DUPLICATES, on: ['c1'], share: 0.15, mostRelayed: 0 },
  { name: 'reordering at the client', rates: REORDERING, on: ['c1'], share: 0.15, mostRelayed: 0 },
  { name: 'all three at the client', rates: ALL, on: ['c1'], share: 0.2, mostRelayed: 0 },
  { name: 'loss at the backends', rates: LOSS, on: ['b1', 'b2'], share: 0.1, mostRelayed: 0.02 },
  { name: 'all three at the backends', rates: ALL, on: ['b1', 'b2'], share: 0.1, mostRelayed: 0.02 },
  {
    name: 'all three everywhere',
    rates: ALL,
    on: ['c1', 'f1', 'b1', 'b2'],
    share: 0.15,
    mostRelayed: 0.05,
  },
];

let cluster: Cluster;
let cables: Impairment;
let fds: readonly number[];
let first = 0;

beforeAll(async () => {
  cluster = await Cluster.start({ app: APP });
  cables = await Impairment.attach(cluster.lab);
  await transfer(20);
  fds = await quietFds(cluster);
}, 60_000);

afterEach(() => expectNothingLeft(cluster, fds), 30_000);
afterAll(() => cluster.destroy());

function transfer(count: number): Promise<LoadResult & { bytes: number }> {
  const { vip4, vip6 } = cluster.lab;
  const options = { addresses: [vip4, vip6], count, parallel: PARALLEL, first };
  first += count;
  return runClient(cluster.client, 'mixed-transfers.mjs', options, TIMEOUT_MS);
}

/** What these cables, the kernels and the front have done so far. */
async function totals(
  on: readonly string[],
): Promise<Counts & KernelCounters & { handedOff: number; fallbacks: number; retried: number }> {
  const hosts = [cluster.client, cluster.frontHost, ...cluster.lab.backends];
  const { handedOff, fallbacks } = await countsOf(cluster);
  const attempts = await cluster.frontMetric('baton_handoffs_total');
  return {
    ...cables.total(on),
    ...(await kernelCounters(hosts)),
    handedOff,
    fallbacks,
    retried: attempts - handedOff,
  };
}

type Totals = Awaited<ReturnType<typeof totals>>;

function difference(before: Totals, after: Totals): Totals {
  const names = Object.keys(after) as (keyof Totals)[];
  return Object.fromEntries(names.map((name) => [name, after[name] - before[name]])) as unknown as Totals;
}

test.each(STAGES)(
  '$name: nothing is lost',
  async ({ name, rates, on, share, mostRelayed }) => {
    const count = Math.round(CONNECTIONS * share);
    const before = await totals(on);
    for (const host of on) cables.set(host, rates);
    const result = await transfer(count);
    for (const host of on) cables.set(host, {});
    const done = difference(before, await totals(on));
    report(
      `${name}: ${done.handedOff} handoffs of ${count}, ${(result.bytes / 1e6).toFixed(0)} MB, ` +
        `${result.errorCount} lost; ${done.seen} packets on the bad cables, ${done.dropped} dropped, ${done.duplicated} duplicated, ` +
        `${done.delayed} delayed; ${done.retried} offers retried, ${done.fallbacks} relayed; kernels: ` +
        `${done.repeated} sent again, ${done.outOfOrder} out of order, ${done.reneged} reneged; ${percentiles(result.ms)}`,
    );
    expect(result.errors).toEqual([]);
    expect(result.ms).toHaveLength(count);
    expect(done.handedOff + done.fallbacks).toBe(count);
    expect(done.fallbacks).toBeLessThanOrEqual(count * mostRelayed);
    expectImpaired(done, rates);
  },
  TIMEOUT_MS,
);

/** A network that was good after all proves nothing. */
function expectImpaired(done: Totals, { drop = 0, duplicate = 0, delay = 0 }: Rates): void {
  const shares = { drop: done.dropped, duplicate: done.duplicated, delay: done.delayed };
  const wanted = { drop, duplicate, delay };
  for (const kind of ['drop', 'duplicate', 'delay'] as const) {
    if (wanted[kind] === 0) expect(shares[kind]).toBe(0);
    else expect(shares[kind]).toBeGreaterThan((done.seen * wanted[kind]) / 2);
  }
  if (drop > 0) expect(done.repeated).toBeGreaterThan(done.dropped / 4);
  if (delay > 0) expect(done.outOfOrder).toBeGreaterThan(0);
}
