import fc from 'fast-check';
import type { OutlierConfig } from '../../src/config/model';
import { Ejections, type Ejection, type Finding } from '../../src/health/ejections';
import { Outliers, type Suspect } from '../../src/health/outliers';
import { OUTLIERS } from './configs';

let now = 0;
const clock = (): number => now;
beforeEach(() => (now = 0));

/** A backend that tells whoever watches it of each change, as those of a front do. */
class TestBackend implements Suspect {
  eligible = true;
  changed: () => void = () => undefined;
  readonly #ejections: Ejections;

  constructor(
    readonly name: string,
    config: OutlierConfig,
    private readonly log: string[],
  ) {
    this.#ejections = new Ejections(config, undefined, clock);
  }

  get ejection(): Ejection | undefined {
    return this.#ejections.current;
  }

  eject(finding: Finding): void {
    const { until } = this.#ejections.begin(finding);
    this.log.push(`${this.name} out for ${(until - now) / 1000} s: ${finding.detail}`);
    this.changed();
  }

  readmit(cause: string): void {
    this.#ejections.end();
    this.log.push(`${this.name} in: ${cause}`);
    this.changed();
  }

  forgive(): void {
    this.#ejections.forgive();
    this.changed();
  }

  goes(eligible: boolean): void {
    this.eligible = eligible;
    this.changed();
  }
}

function poolOf(count: number, own: Partial<OutlierConfig> = {}) {
  const config = { ...OUTLIERS, ...own };
  const log: string[] = [];
  const backends = Array.from({ length: count }, (_, i) => new TestBackend(`b${i + 1}`, config, log));
  const outliers = new Outliers(
    config,
    backends,
    {
      ejected: (backend, { cause }) => log.push(`counted ${backend} ${cause}`),
      panic: (backend, { detail }) => log.push(`panic: ${backend}: ${detail}`),
      calm: () => log.push('calm'),
    },
    clock,
  );
  for (const each of backends) each.changed = () => outliers.review();
  const pool = {
    log,
    outliers,
    backend: (name: string) => backends.find((each) => each.name === name) as TestBackend,
    out: () => backends.filter(({ ejection }) => ejection !== undefined).map(({ name }) => name),
    /** A report of its agent, and what follows from it. */
    report: (name: string, responses: number, serverErrors: number) => {
      outliers.responded(name, { responses, serverErrors, totalMs: 0 });
      outliers.review();
    },
    fail: (name: string, thread = 0) => {
      outliers.failing(name, thread, { count: 5, result: 'timeout' });
      outliers.review();
    },
    pass: (ms: number) => {
      now += ms;
      outliers.review();
    },
    /** What was said since the last time. */
    said: () => log.splice(0),
  };
  return pool;
}

const ERRORS = '20 of 20 responses in 10 s were 5xx';
const FAILURES = '5 handoffs in a row failed, the last one: timeout';

test('a backend that answers with errors is out for a while, and longer the next time', () => {
  const pool = poolOf(3);
  pool.report('b1', 20, 9);
  expect(pool.said()).toEqual([]);
  expect(pool.outliers.dueMs).toBeUndefined();
  pool.report('b1', 20, 20);
  expect(pool.said()).toEqual(['b1 out for 10 s: 29 of 40 responses in 10 s were 5xx', 'counted b1 errors']);
  expect(pool.outliers.dueMs).toBe(10_000);
  // Its old connections go on failing, which is no news.
  pool.report('b1', 100, 100);
  pool.pass(9_999);
  expect(pool.said()).toEqual([]);
  pool.pass(1);
  expect(pool.said()).toEqual(['b1 in: its ejection is over']);
  // On trial it starts with a clean sheet, and the window need not pass.
  pool.report('b1', 19, 19);
  expect(pool.said()).toEqual([]);
  pool.report('b1', 1, 1);
  expect(pool.said()).toEqual([`b1 out for 20 s: ${ERRORS}`, 'counted b1 errors']);
});

test('handoffs that fail in a row eject at once', () => {
  const pool = poolOf(2);
  pool.fail('b2', 3);
  expect(pool.said()).toEqual([`b2 out for 10 s: ${FAILURES}`, 'counted b2 failures']);
  pool.fail('b2', 4);
  pool.pass(10_000);
  expect(pool.said()).toEqual(['b2 in: its ejection is over']);
  pool.outliers.recovered('b2', 3);
  pool.pass(1);
  expect(pool.said()).toEqual([]);
});

test('what one pool has no room for stays, and panic lasts as long as it should not', () => {
  const pool = poolOf(3);
  for (const name of ['b1', 'b2', 'b3']) pool.report(name, 20, 20);
  expect(pool.said()).toEqual([`b1 out for 10 s: ${ERRORS}`, 'counted b1 errors', `panic: b2: ${ERRORS}`]);
  expect(pool.out()).toEqual(['b1']);
  expect([pool.outliers.panic, pool.outliers.dueMs]).toEqual([true, 1000]);
  expect(['b1', 'b2', 'b3'].map((name) => pool.outliers.withheld(name)?.detail)).toEqual([
    undefined,
    ERRORS,
    ERRORS,
  ]);
  pool.report('b2', 30, 0);
  expect(pool.said()).toEqual([]);
  expect(pool.outliers.withheld('b2')).toBeUndefined();
  pool.report('b3', 30, 0);
  expect(pool.said()).toEqual(['calm']);
  expect(pool.outliers.panic).toBe(false);
});

test('panic is over too when nobody asks any more, and when there is room', () => {
  const pool = poolOf(3);
  pool.fail('b1');
  pool.pass(5000);
  pool.fail('b2');
  expect(pool.said().at(-1)).toBe(`panic: b2: ${FAILURES}`);
  pool.pass(5000);
  expect(pool.said()).toEqual([
    'b1 in: its ejection is over',
    `b2 out for 10 s: ${FAILURES}`,
    'counted b2 failures',
    'calm',
  ]);
  pool.report('b1', 20, 20);
  expect(pool.said()).toEqual([`panic: b1: ${ERRORS}`]);
  pool.pass(9999);
  pool.said();
  pool.pass(1);
  expect(pool.said()).toEqual(['b2 in: its ejection is over', 'calm']);
});

test('the last one left stays, whatever its share', () => {
  const pool = poolOf(2, { max_share: 1 });
  pool.fail('b1');
  pool.fail('b2');
  expect(pool.out()).toEqual(['b1']);
  expect(pool.said().at(-1)).toBe(`panic: b2: ${FAILURES}`);
  const alone = poolOf(1, { max_share: 1 });
  alone.fail('b1');
  expect(alone.said()).toEqual([`panic: b1: ${FAILURES}`]);
});

test('an ejected backend is taken back when the others are gone', () => {
  const pool = poolOf(3);
  pool.fail('b1');
  pool.pass(4000);
  pool.backend('b2').goes(false);
  expect(pool.out()).toEqual(['b1']);
  pool.said();
  pool.backend('b3').goes(false);
  expect(pool.said()).toEqual([
    'b1 in: taken back: others are gone, and too few would be left',
    `panic: b1: ${FAILURES}`,
  ]);
  pool.pass(5999);
  expect(pool.said()).toEqual([]);
  // Its time is over, and nobody has complained since.
  pool.pass(1);
  expect(pool.said()).toEqual(['calm']);
});

test('one that was taken back is on trial when the others return', () => {
  const pool = poolOf(2);
  pool.fail('b1');
  pool.backend('b2').goes(false);
  pool.said();
  pool.backend('b2').goes(true);
  expect(pool.said()).toEqual(['calm']);
  pool.fail('b1');
  expect(pool.said()).toEqual([`b1 out for 20 s: ${FAILURES}`, 'counted b1 failures']);
});

test('of several that are ejected those are taken back whose time is over first', () => {
  const pool = poolOf(6);
  pool.fail('b3');
  pool.pass(1000);
  pool.fail('b1');
  pool.fail('b2');
  pool.backend('b6').goes(false);
  expect(pool.out()).toEqual(['b1', 'b2']);
  pool.backend('b5').goes(false);
  expect(pool.out()).toEqual(['b1', 'b2']);
  pool.backend('b4').goes(false);
  expect(pool.out()).toHaveLength(1);
});

test('what was said against a backend before it went down is forgotten', () => {
  const pool = poolOf(3);
  pool.report('b1', 19, 19);
  pool.backend('b1').goes(false);
  pool.fail('b1');
  pool.backend('b1').goes(true);
  pool.report('b1', 1, 1);
  expect(pool.said()).toEqual([]);
});

test('an ejection goes on while its backend is down, and an operator ends it', () => {
  const pool = poolOf(3);
  pool.fail('b1');
  pool.backend('b1').goes(false);
  pool.fail('b2');
  expect(pool.out()).toEqual(['b1', 'b2']);
  pool.backend('b1').goes(true);
  expect(pool.out()).toEqual(['b2']);
  pool.backend('b2').forgive();
  expect([pool.out(), pool.outliers.panic]).toEqual([[], false]);
  pool.said();
  pool.fail('b2');
  expect(pool.said()[0]).toBe(`b2 out for 10 s: ${FAILURES}`);
});

describe('whatever happens', () => {
  type Step = readonly ['report' | 'fail' | 'recover' | 'goes' | 'pass' | 'forgive', number, number];
  const step: fc.Arbitrary<Step> = fc.tuple(
    fc.constantFrom('report', 'fail', 'recover', 'goes', 'pass', 'forgive'),
    fc.nat(7),
    fc.nat(40),
  );
  const options = fc.record({
    count: fc.integer({ min: 1, max: 8 }),
    max_share: fc.double({ min: 0.01, max: 1, noNaN: true }),
    eject: fc.integer({ min: 1, max: 20_000 }),
  });

  function take(pool: ReturnType<typeof poolOf>, [what, which, amount]: Step, count: number): void {
    const backend = pool.backend(`b${(which % count) + 1}`);
    if (what === 'report') pool.report(backend.name, 40, amount);
    else if (what === 'fail') pool.fail(backend.name, amount % 2);
    else if (what === 'recover') pool.outliers.recovered(backend.name, amount % 2);
    else if (what === 'goes') backend.goes(amount % 2 === 0);
    else if (what === 'forgive') backend.forgive();
    else pool.pass(amount * 500);
  }

  test('no more than the share is out, one is always left, and panic is said once', () => {
    fc.assert(
      fc.property(options, fc.array(step, { maxLength: 80 }), ({ count, ...own }, steps) => {
        now = 0;
        const pool = poolOf(count, own);
        const names = Array.from({ length: count }, (_, i) => `b${i + 1}`);
        for (const each of steps) {
          take(pool, each, count);
          const eligible = names.map(pool.backend).filter((backend) => backend.eligible);
          const out = eligible.filter(({ ejection }) => ejection !== undefined);
          expect(out.length).toBeLessThanOrEqual(own.max_share * eligible.length + 1e-9);
          if (eligible.length > 0) expect(out.length).toBeLessThan(eligible.length);
          const withheld = names.filter((name) => pool.outliers.withheld(name) !== undefined);
          // A recovery counts from the next review on.
          if (each[0] !== 'recover') expect(pool.outliers.panic).toBe(withheld.length > 0);
        }
        const panics = pool.log.filter((line) => line.startsWith('panic') || line === 'calm');
        panics.forEach((line, i) => expect(line === 'calm').toBe(i % 2 === 1));
        for (const { ejection } of names.map(pool.backend)) {
          expect(ejection === undefined || ejection.until > now).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('after enough peace nobody is out and nobody panics', () => {
    fc.assert(
      fc.property(options, fc.array(step, { maxLength: 40 }), ({ count, ...own }, steps) => {
        now = 0;
        const pool = poolOf(count, own);
        for (const each of steps) take(pool, each, count);
        for (let looks = 0; pool.outliers.dueMs !== undefined; looks++) {
          expect(looks).toBeLessThan(1000);
          pool.pass(pool.outliers.dueMs);
        }
        expect([pool.out(), pool.outliers.panic]).toEqual([[], false]);
      }),
    );
  });
});
