import { Exhaustion } from '../../src/front/exhaustion';

interface Line {
  readonly level: 'warn' | 'info';
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

let lines: Line[];
let exhaustion: Exhaustion;

beforeEach(() => {
  jest.useFakeTimers();
  lines = [];
  const write =
    (level: Line['level']) =>
    (fields: object, message: string): void => {
      lines.push({ level, fields: { ...fields }, message });
    };
  exhaustion = new Exhaustion({ warn: write('warn'), info: write('info') });
});

afterEach(() => {
  exhaustion.stop();
  jest.useRealTimers();
});

test('each connection counts; the log gets one line per second and resource, with what there is and what to do', () => {
  let asked = 0;
  for (let ms = 0; ms < 3000; ms++) {
    exhaustion.met('files', () => ({ cause: 'EMFILE', asked: ++asked }));
    if (ms % 2 === 0) exhaustion.met('flows', () => ({ cause: 'full' }));
    jest.advanceTimersByTime(1);
  }
  expect(exhaustion.counts).toEqual({ connections: 0, files: 3000, memory: 0, flows: 1500, offers: 0 });
  const files = lines.filter(({ fields }) => fields.resource === 'files');
  expect(files.map(({ fields }) => fields)).toEqual([
    { resource: 'files', cause: 'EMFILE', asked: 1, events: 1 },
    { resource: 'files', cause: 'EMFILE', asked: 2, events: 1001 },
    { resource: 'files', cause: 'EMFILE', asked: 3, events: 2001 },
  ]);
  expect(files[0]?.message).toContain('raise the limit of open files');
  expect(lines).toHaveLength(6);
  expect(lines.every(({ level }) => level === 'warn')).toBe(true);
});

test('one line says that it is over, for each resource by itself, and a later one begins anew', () => {
  exhaustion.met('connections', () => ({}));
  exhaustion.met('memory', () => ({}));
  jest.advanceTimersByTime(3000);
  exhaustion.met('connections', () => ({}));
  jest.advanceTimersByTime(4000);
  expect(lines.at(-1)).toEqual({
    level: 'info',
    fields: { resource: 'memory', events: 1, seconds: 0 },
    message: 'no longer exhausted',
  });
  jest.advanceTimersByTime(60_000);
  expect(lines.at(-1)).toEqual({
    level: 'info',
    fields: { resource: 'connections', events: 2, seconds: 3 },
    message: 'no longer exhausted',
  });
  expect(lines.filter(({ level }) => level === 'info')).toHaveLength(2);
  // Nothing is left that would wake the thread up.
  expect(jest.getTimerCount()).toBe(0);

  exhaustion.met('connections', () => ({}));
  expect(lines.at(-1)?.fields).toEqual({ resource: 'connections', events: 1 });
  jest.advanceTimersByTime(10_000);
  expect(lines.filter(({ level }) => level === 'info')).toHaveLength(3);
  expect(exhaustion.counts.connections).toBe(3);
});
