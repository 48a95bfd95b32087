import { EventEmitter, once } from 'node:events';
import { HealthChecker } from '../../src/health/checker';
import type { Endpoint, HealthConfig } from '../../src/config/model';
import { allClosed, httpServer, refusingEndpoint, type TestServer } from './servers';

const BASE: HealthConfig = {
  path: '/healthz',
  expect: [{ first: 200, last: 399 }],
  headers: {},
  interval: 2,
  jitter: 0.1,
  timeout: 5000,
  rise: 2,
  fall: 3,
};

interface Change {
  readonly up: boolean;
  readonly cause: string;
  /** Checks that the server had answered by then. */
  readonly after: number;
}

let server: TestServer | undefined;
let checker: HealthChecker | undefined;
afterEach(async () => {
  await checker?.stop();
  await server?.close();
  server = undefined;
});

function check(
  target: Endpoint,
  health: Partial<HealthConfig>,
  onChange: (up: boolean, cause: string) => void,
) {
  checker = new HealthChecker(target, { ...BASE, ...health }, onChange);
  return checker;
}

/**
 * Checks a server that answers `script` in turn ('+' 200, '-' 503), then waits for the check after the last; returns
 * every change with the number of checks before it.
 */
async function changesFor(script: string, health: Partial<HealthConfig> = {}): Promise<Change[]> {
  const changes: Change[] = [];
  const progress = new EventEmitter();
  let answered = 0;
  server = await httpServer((_request, response) => {
    if (answered === script.length) {
      progress.emit('done');
      return;
    }
    response.writeHead(script[answered] === '+' ? 200 : 503).end();
    answered += 1;
  });
  const done = once(progress, 'done');
  check(server.endpoint, health, (up, cause) => changes.push({ up, cause, after: answered })).start();
  await done;
  return changes;
}

const up = (after: number): Change => ({ up: true, cause: 'GET /healthz: 200', after });
const down = (after: number): Change => ({ up: false, cause: 'GET /healthz: 503', after });

describe('HealthChecker', () => {
  test('is down until the first result', () => {
    const idle = check({ host: '127.0.0.1', port: 1, family: 4 }, {}, () => undefined);
    expect([idle.up, idle.lastCause]).toEqual([false, 'not checked yet']);
  });

  test.each<[string, string, Change[]]>([
    ['the first success decides at once', '+', [up(1)]],
    ['the first failure decides at once', '-', [down(1)]],
    ['steady results are no change', '+++++', [up(1)]],
    ['down after `fall` failures in a row', '+---', [up(1), down(4)]],
    ['fewer failures than `fall` are no change', '+--+--+', [up(1)]],
    ['up after `rise` successes in a row', '-++', [down(1), up(3)]],
    ['fewer successes than `rise` are no change', '-+-+-', [down(1)]],
    ['counting starts anew after a change', '+---+---++', [up(1), down(4), up(10)]],
    ['there and back', '-++---++', [down(1), up(3), down(6), up(8)]],
  ])('%s: %s', async (_what, script, changes) => {
    expect(await changesFor(script)).toEqual(changes);
  });

  test('rise and fall of 1 follow every flap', async () => {
    const changes = await changesFor('+-+-', { rise: 1, fall: 1 });
    expect(changes).toEqual([up(1), down(2), up(3), down(4)]);
  });

  test('lastCause is that of the latest check, also without a change', async () => {
    expect(await changesFor('+-')).toEqual([up(1)]);
    expect([checker?.up, checker?.lastCause]).toEqual([true, 'GET /healthz: 503']);
  });

  test('a refused connection takes it down', async () => {
    const target = await refusingEndpoint();
    const [isUp, cause] = await new Promise<[boolean, string]>((resolve) =>
      check(target, {}, (...change) => resolve(change)).start(),
    );
    expect([isUp, cause]).toEqual([false, `connect ECONNREFUSED 127.0.0.1:${target.port}`]);
  });

  test('a server that begins to hang goes down with the timeout as its cause, one check at a time', async () => {
    let hang = false;
    server = await httpServer((_request, response) => {
      if (!hang) response.end('ok');
    });
    const { endpoint } = server;
    const changes: string[] = [];
    await new Promise<void>((resolve) =>
      check(endpoint, { timeout: 150, fall: 2 }, (isUp, cause) => {
        changes.push(`${isUp ? 'up' : 'down'}: ${cause}`);
        if (!isUp) resolve();
        hang = true;
      }).start(),
    );
    expect(changes).toEqual(['up: GET /healthz: 200', 'down: timeout after 150 ms']);
    // Checks that overlapped, two milliseconds apart, would have been many more by now.
    expect(server.accepted()).toBe(3);
  });

  test('checks keep their interval, within the jitter', async () => {
    const times: number[] = [];
    const progress = new EventEmitter();
    server = await httpServer((_request, response) => {
      times.push(performance.now());
      response.end();
      if (times.length === 4) progress.emit('done');
    });
    const done = once(progress, 'done');
    check(server.endpoint, { interval: 40 }, () => undefined).start();
    await done;
    // Three intervals of at least 90 %, less the time that the first request took to arrive.
    expect((times[3] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(3 * 36 - 36);
  });

  test.each([0, 0.5])('checks move by a share of %d of the interval, and no more', async (jitter) => {
    const drawn = [0, 0.999, 0.5, 0, 0.999, 0.5];
    const times: number[] = [];
    const progress = new EventEmitter();
    server = await httpServer((_request, response) => {
      times.push(performance.now());
      response.end();
      if (times.length === 4) progress.emit('done');
    });
    const random = jest.spyOn(Math, 'random').mockImplementation(() => drawn.shift() ?? 0.5);
    try {
      const done = once(progress, 'done');
      check(server.endpoint, { interval: 200, jitter }, () => undefined).start();
      await done;
    } finally {
      random.mockRestore();
    }
    // What the draws above make of three intervals: less, more and all of it; a request takes some time to arrive.
    const least = [1 - jitter, 1 + jitter, 1].map((factor) => 200 * factor - 80);
    times.slice(1).forEach((time, i) => expect(time - (times[i] ?? 0)).toBeGreaterThan(least[i] ?? 0));
    expect((times[3] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(600 - 80);
  });

  test('a second start changes nothing', async () => {
    server = await httpServer(() => undefined);
    const { endpoint } = server;
    await new Promise<void>((resolve) => {
      const twice = check(endpoint, { timeout: 30, interval: 3_600_000 }, () => resolve());
      twice.start();
      twice.start();
    });
    expect(server.accepted()).toBe(1);
  });

  test('stop ends a check under way without a verdict and closes its connection', async () => {
    const progress = new EventEmitter();
    server = await httpServer(() => progress.emit('request'));
    const request = once(progress, 'request');
    const changes: unknown[] = [];
    const stopped = check(server.endpoint, {}, (...change) => changes.push(change));
    stopped.start();
    await request;
    expect(server.sockets.size).toBe(1);
    await stopped.stop();
    await allClosed(server);
    expect(changes).toEqual([]);
    expect([stopped.up, stopped.lastCause]).toEqual([false, 'not checked yet']);
  });

  test('stop ends the wait between two checks at once and for good', async () => {
    server = await httpServer((_request, response) => response.end());
    const { endpoint } = server;
    // With an hour between checks, a stop that waited would run into the test's own timeout.
    await new Promise<void>((resolve) => check(endpoint, { interval: 3_600_000 }, () => resolve()).start());
    await checker?.stop();
    checker?.start();
    await checker?.stop();
    expect(server.accepted()).toBe(1);
  });

  test('stop before start is no error', async () => {
    await expect(
      check({ host: '127.0.0.1', port: 1, family: 4 }, {}, () => undefined).stop(),
    ).resolves.toBeUndefined();
  });
});
