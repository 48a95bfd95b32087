import { join } from 'node:path';
import { withNamespace } from '../kernel/namespace';

const DIST = join(__dirname, '../../dist');
const FAMILIES = [4, 6] as const;
const WINDOW_SCALE = 4;

/** Runs cases of a fixture in a network namespace of their own. */
function runCases<T>(fixture: string, cases: readonly object[]): Promise<T[]> {
  const program = join(__dirname, `${fixture}.fixture.cjs`);
  return withNamespace((namespace) => namespace.run<T>(program, DIST, JSON.stringify(cases)));
}

interface Roundtrip {
  readonly given: {
    readonly family: number;
    readonly unread: number;
    readonly sent: number;
    readonly options: number;
  };
  readonly toServer: boolean;
  readonly toClient: boolean;
  readonly options: number;
  readonly restoredOptions: number;
  readonly scales: readonly [number, number];
  readonly mss: number;
  readonly receive: number;
  readonly sent: number;
  readonly unsent: number;
}

/** What must hold of every connection that was moved. */
function expectWhole(result: Roundtrip): void {
  const { given, scales, mss, ...rest } = result;
  expect({ given, ...rest }).toEqual({
    given,
    toServer: true,
    toClient: true,
    options: given.options,
    // Scales of 0 stand for none.
    restoredOptions: given.options | WINDOW_SCALE,
    receive: given.unread,
    sent: rest.sent,
    unsent: given.sent - rest.sent,
  });
  expect({ given, scaled: scales.map((scale) => scale > 0) }).toEqual({
    given,
    scaled: Array(2).fill((given.options & 4) !== 0),
  });
  expect(mss).toBeGreaterThan(30_000);
}

const SHAPES = [
  ...[0, 500, 60_000, 110_000].map((unread) => ({ unread, sent: 0 })),
  ...[20_000, 400_000, 3_000_000].map((sent) => ({ unread: 500, sent })),
  { unread: 110_000, sent: 3_000_000 },
];

test('a connection is the same after a dump and a restore, whatever its queues hold', async () => {
  const cases = FAMILIES.flatMap((family) => SHAPES.map((shape) => ({ family, options: 7, ...shape })));
  const results = await runCases<Roundtrip>('roundtrip', cases);
  expect(results).toHaveLength(cases.length);
  results.forEach(expectWhole);
  // Both parts of the send queue must have occurred, together.
  const split = results.filter(({ sent, unsent }) => sent > 0 && unsent > 0);
  expect(split.length).toBeGreaterThanOrEqual(4);
  const { sent, unsent } = split[split.length - 1] as Roundtrip;
  process.stdout.write(
    `roundtrip: ${results.length} queue shapes, ${split.length} with both parts (${sent}+${unsent})\n`,
  );
}, 70_000);

test('with every combination of timestamps, SACK and window scaling', async () => {
  const combinations = Array.from({ length: 8 }, (_, options) => options);
  const cases = combinations.map((options) => ({ family: 4, unread: 500, sent: 400_000, options }));
  const results = await runCases<Roundtrip>('roundtrip', cases);
  expect(results.map(({ options }) => options)).toEqual(combinations);
  results.forEach(expectWhole);
  process.stdout.write(`roundtrip: ${results.length} combinations of options\n`);
}, 70_000);

const WHOLE = { toServer: true, toClient: true };

/** Runs scenarios over both families and compares what they say. */
async function expectScenarios(fixture: string, wanted: Record<string, object>): Promise<void> {
  const cases = FAMILIES.flatMap((family) => Object.keys(wanted).map((scenario) => ({ scenario, family })));
  const results = await runCases<{ given: { scenario: string } }>(fixture, cases);
  expect(results).toEqual(cases.map((given) => ({ given, ...wanted[given.scenario] })));
  process.stdout.write(`${fixture}: ${Object.keys(wanted).join(', ')} over both families\n`);
}

test('what is not moved goes on where it is, and nothing is lost', async () => {
  await expectScenarios('undo', {
    fin: { outcome: 'not_established', halfClosed: true, ...WHOLE },
    lateFin: { outcome: 'done', heard: 0, ...WHOLE },
    thaw: { heard: 0, same: true, ...WHOLE },
  });
}, 70_000);

test('an urgent byte keeps its connection where it is, with nothing lost', async () => {
  await expectScenarios('undo', { urgent: { outcome: 'queue_moved', ...WHOLE } });
}, 70_000);

test('the remains of an old connection give way to the new one', async () => {
  await expectScenarios('conflict', {
    timeWait: { before: 1, ...WHOLE },
    timeWaitInTheWay: { before: 1, ...WHOLE },
    established: { before: 1, unasked: 'address_in_use', told: -103, ...WHOLE },
    unfinished: { before: 1, outcome: 'address_in_use', arrived: true, ...WHOLE },
    listener: { found: true, ...WHOLE },
  });
}, 70_000);

test('what cannot be restored is refused with a reason, and leaves nothing behind', async () => {
  await expectScenarios('conflict', {
    notLocal: { outcome: 'vip_not_local', leaked: 0, ...WHOLE },
    crowded: { before: 1, outcome: 'address_in_use', ...WHOLE },
  });
}, 70_000);
