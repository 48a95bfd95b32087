/** Backends that answer with errors, or do not take connections over: out for a while, back, and never all of them. */
import { join } from 'node:path';
import { Cluster, type Settings } from '../../src/lab/cluster';
import { VIP4 } from '../../src/lab/topology';
import { APP, curl, report } from './support';

/** Requests per second, a third of them for each backend. */
const RATE = 60;
const WINDOW_S = 2;
const EJECT_S = 1;
/** How often agents report, and what a busy machine adds. */
const SLACK_S = 3;

interface Answer {
  /** Unix time, ms. */
  readonly at: number;
  /** 0 where there was none. */
  readonly status: number;
  readonly node?: string;
}

interface BackendStatus {
  readonly name: string;
  readonly state: string;
  readonly cause: string;
  readonly ejected_seconds_left?: number;
  readonly ejection_withheld?: string;
}

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ app: APP, backends: 3, clientAddresses: 20, front: settings });
}, 60_000);

afterAll(() => cluster.destroy());

function settings(of: Cluster, own: Settings = {}): Settings {
  const outliers = { window: `${WINDOW_S}s`, eject: `${EJECT_S}s`, max_eject: '1m', ...own };
  return {
    timeouts: { linger: '500ms', prepare: '500ms' },
    pools: { web: { outliers, backends: [1, 2, 3].map((k) => of.backend(k)) } },
  };
}

/** Asks who is there all the time that `what` takes; returns all answers. */
async function asking(what: () => Promise<void>): Promise<readonly Answer[]> {
  const script = join(__dirname, 'clients/asking.mjs');
  const options = JSON.stringify({ address: VIP4, sources: cluster.client.addresses4, rate: RATE });
  const client = cluster.client.spawn([process.execPath, script, options], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await client.waitForLine('started', 10_000);
  await what();
  client.endInput();
  const line = await client.waitForLine('"answers"', 20_000);
  return (JSON.parse(line) as { answers: Answer[] }).answers;
}

/** Makes a backend's application answer with this status, on handed-over connections too. */
async function answerWith(k: number, code: number): Promise<void> {
  const { address4 } = cluster.lab.host(`b${k}`);
  await curl(cluster.frontHost, ['-X', 'POST', `http://${address4}:8080/fail?code=${code}`]);
}

async function statusOf(name: string): Promise<BackendStatus> {
  const { backends } = await cluster.frontApi<{ backends: BackendStatus[] }>('/v1/backends');
  return backends.find((each) => each.name === name) as BackendStatus;
}

async function reaches(name: string, state: string): Promise<number> {
  await cluster.until(`${name} ${state}`, async () => (await statusOf(name)).state === state, 20_000);
  return Date.now();
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

test('a backend that answers with errors is out soon, longer the second time, and back', async () => {
  const times: Record<'failing' | 'out' | 'again' | 'whole' | 'back', number> = {
    failing: 0,
    out: 0,
    again: 0,
    whole: 0,
    back: 0,
  };
  const answers = await asking(async () => {
    await cluster.until('traffic', async () => (await cluster.frontMetric('baton_handoffs_total')) > RATE);
    times.failing = Date.now();
    await answerWith(1, 500);
    times.out = await reaches('b1', 'ejected');
    const { cause, ejected_seconds_left: left } = await statusOf('b1');
    expect(cause).toMatch(/^\d+ of \d+ responses in 2 s were 5xx$/);
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(EJECT_S);
    expect(await cluster.frontMetric('baton_backend_state', { backend: 'b1', state: 'ejected' })).toBe(1);
    await reaches('b1', 'up');
    times.again = await reaches('b1', 'ejected');
    expect((await statusOf('b1')).ejected_seconds_left).toBeGreaterThan(EJECT_S);
    await answerWith(1, 200);
    times.whole = Date.now();
    times.back = await reaches('b1', 'up');
    await cluster.until('b1 serves', async () => {
      const { node } = JSON.parse(await curl(cluster.client, [`http://${VIP4}/who`])) as { node: string };
      return node === 'b1';
    });
  });
  await cluster.front.waitForLine(
    /"level":"warn".*"backend":"b1".*"state":"ejected".*"cause":"\d+ of .*"seconds":2.*"until":"2/,
    1000,
  );
  await cluster.front.waitForLine(/"state":"up","before":"ejected","cause":"its ejection is over"/, 1000);
  expect(await cluster.frontMetric('baton_ejections_total', { backend: 'b1', cause: 'errors' })).toBe(2);
  expect(await cluster.frontMetric('baton_ejections_total')).toBe(2);

  const failed = answers.filter(({ status }) => status === 500);
  const first = failed.filter(({ at }) => at <= times.out);
  const onTrial = failed.length - first.length;
  report(
    `b1 answers 500 at ${RATE / 3}/s: out after ${seconds(times.out - times.failing)} and ${first.length} failed requests; ` +
      `out again, for twice as long, after ${onTrial} more; back ${seconds(times.back - times.again)} later, ` +
      `${seconds(times.back - times.whole)} after its repair`,
  );
  expect(answers.filter(({ status }) => status !== 200 && status !== 500)).toEqual([]);
  expect(new Set(failed.map(({ node }) => node))).toEqual(new Set(['b1']));
  expect(times.out - times.failing).toBeLessThan((WINDOW_S + SLACK_S) * 1000);
  expect(first.length).toBeLessThan((RATE / 3) * (WINDOW_S + SLACK_S));
  expect(times.back - times.again).toBeGreaterThan(EJECT_S * 1000);
  expect(times.back - times.again).toBeLessThan((2 * EJECT_S + SLACK_S) * 1000);
}, 60_000);

test('when all fail, one is out and the others stay: nobody is left without a backend', async () => {
  const answers = await asking(async () => {
    for (const k of [1, 2, 3]) await answerWith(k, 503);
    await cluster.until('panic', async () => (await cluster.frontMetric('baton_pool_panic')) === 1, 20_000);
    const { backends } = await cluster.frontApi<{ backends: BackendStatus[] }>('/v1/backends');
    expect(backends.filter(({ state }) => state === 'ejected')).toHaveLength(1);
    expect(backends.some(({ ejection_withheld: why }) => why?.endsWith('were 5xx'))).toBe(true);
    for (const k of [1, 2, 3]) await answerWith(k, 200);
    await cluster.until('calm', async () => (await cluster.frontMetric('baton_pool_panic')) === 0, 20_000);
    for (const k of [1, 2, 3]) await reaches(`b${k}`, 'up');
  });
  await cluster.front.waitForLine(/"level":"error".*"pool":"web".*pool is in panic mode/, 1000);
  await cluster.front.waitForLine('pool is out of panic mode', 1000);
  // A 503 of the front itself would name no node.
  expect(answers.filter(({ node }) => node === undefined)).toEqual([]);
  report(`all three answer 503: one is out, ${answers.length} requests are answered, all by a backend`);
}, 60_000);

test('an agent that hangs is out for its failures', async () => {
  const before = await cluster.frontMetric('baton_handoffs_total', { result: 'timeout' });
  const hung = cluster.agents[1];
  let out = 0;
  const answers = await asking(async () => {
    const began = Date.now();
    hung?.kill('SIGSTOP');
    out = (await reaches('b2', 'ejected')) - began;
    expect((await statusOf('b2')).cause).toMatch(/^\d+ handoffs in a row failed, the last one: timeout$/);
    hung?.kill('SIGCONT');
    await reaches('b2', 'up');
  });
  const timeouts = (await cluster.frontMetric('baton_handoffs_total', { result: 'timeout' })) - before;
  expect(await cluster.frontMetric('baton_ejections_total', { backend: 'b2', cause: 'failures' })).toBe(1);
  report(`b2's agent hangs: out after ${seconds(out)} and ${timeouts} prepare timeouts`);
  expect(timeouts).toBeGreaterThanOrEqual(5);
  // Its channel ends by silence after 5 s only.
  expect(out).toBeLessThan(4000);
  expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
}, 60_000);

test('an ejection holds through a reload and a restart, until the operator ends it', async () => {
  cluster.writeFrontConfig(settings(cluster, { eject: '1m' }));
  expect(await cluster.frontPost('/v1/reload')).toMatchObject({ status: 200 });
  const ejections = (): Promise<number> => cluster.frontMetric('baton_ejections_total', { backend: 'b3' });
  const before = await ejections();
  const answers = await asking(async () => {
    await answerWith(3, 500);
    await reaches('b3', 'ejected');
    await answerWith(3, 200);
    const { cause, ejected_seconds_left: left = NaN } = await statusOf('b3');
    expect(left).toBeGreaterThan(50);
    expect(await cluster.frontPost('/v1/reload')).toMatchObject({ status: 200 });
    const { exited } = await cluster.restartFront();
    await exited;
    const after = await statusOf('b3');
    expect(after).toMatchObject({ state: 'ejected', cause });
    expect(after.ejected_seconds_left).toBeLessThan(left);
    expect(await ejections()).toBe(before + 1);
    const { body } = await cluster.frontPost('/v1/backends/web/b3/ready');
    expect(body.state).toBe('up');
    await cluster.until('b3 serves', async () =>
      (await curl(cluster.client, [`http://${VIP4}/who`])).includes('"node":"b3"'),
    );
  });
  expect(answers.filter(({ status }) => status !== 200 && status !== 500)).toEqual([]);
}, 60_000);
