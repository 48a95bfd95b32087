import { Ejections, type Finding, type KnownEjections } from '../../src/health/ejections';

const FINDING: Finding = { cause: 'errors', detail: '12 of 20 responses were 5xx' };
const CONFIG = { eject: 10, max_eject: 35 };

let now = 0;
beforeEach(() => (now = 1000));

const ejections = (known?: KnownEjections, config = CONFIG) => new Ejections(config, known, () => now);

/** Begins one and lets its time pass; returns how long it was. */
function serve(one: Ejections): number {
  one.begin(FINDING);
  const { leftMs } = one;
  now += leftMs;
  one.end();
  return leftMs;
}

test('none to begin with', () => {
  const fresh = ejections();
  expect([fresh.current, fresh.leftMs, fresh.steps, fresh.known]).toEqual([undefined, 0, 0, undefined]);
});

test('each lasts longer than the one before, up to the limit', () => {
  const one = ejections();
  expect([serve(one), serve(one), serve(one), serve(one), serve(one)]).toEqual([10, 20, 30, 35, 35]);
});

test('calm makes the next one shorter, step by step', () => {
  const one = ejections();
  for (let i = 0; i < 10; i++) serve(one);
  expect(one.steps).toBe(4);
  now += 34;
  expect(one.steps).toBe(4);
  now += 1;
  expect(one.steps).toBe(3);
  now += 35;
  expect(serve(one)).toBe(30);
  now += 1000;
  expect([one.steps, serve(one)]).toEqual([0, 10]);
});

test('one that is under way says why, and until when', () => {
  const one = ejections();
  expect(one.begin(FINDING)).toEqual({ finding: FINDING, until: 1010 });
  now += 4;
  expect([one.current, one.leftMs]).toEqual([{ finding: FINDING, until: 1010 }, 6]);
  now += 100;
  expect([one.current?.until, one.leftMs]).toEqual([1010, 0]);
});

test('an operator forgives all of it', () => {
  const one = ejections();
  serve(one);
  serve(one);
  one.begin(FINDING);
  one.forgive();
  expect([one.current, one.steps, serve(one)]).toEqual([undefined, 0, 10]);
});

describe('what is known of it, on another clock', () => {
  /** As through a reload or a restart. */
  const takeOver = (one: Ejections, config = CONFIG): Ejections => {
    const known = JSON.parse(JSON.stringify(one.known)) as KnownEjections;
    now = 50_000;
    return ejections(known, config);
  };

  test('is the one under way', () => {
    const one = ejections();
    serve(one);
    one.begin(FINDING);
    now += 5;
    const other = takeOver(one);
    expect([other.current, other.steps]).toEqual([{ finding: FINDING, until: 50_015 }, 2]);
    other.end();
    expect(serve(other)).toBe(30);
  });

  test('is how calm it has been', () => {
    const one = ejections();
    for (let i = 0; i < 3; i++) serve(one);
    now += 40;
    const other = takeOver(one);
    expect(other.steps).toBe(2);
    now += 29;
    expect(other.steps).toBe(2);
    now += 1;
    expect(other.steps).toBe(1);
  });

  test('is bounded by the limits of the configuration that takes over', () => {
    const one = ejections();
    for (let i = 0; i < 5; i++) serve(one);
    one.begin(FINDING);
    const other = takeOver(one, { eject: 10, max_eject: 15 });
    expect([other.leftMs, other.steps]).toEqual([15, 2]);
  });
});
