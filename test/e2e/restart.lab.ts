import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster, type Settings } from '../../src/lab/cluster';
import type { Result } from '../../src/lab/execute';
import type { LabProgram } from '../../src/lab/lab-process';
import { VIP4 } from '../../src/lab/topology';
import { amount } from '../soak';
import { BackgroundTransfers } from './faults/background-transfers';
import { ClientSockets } from './faults/client-sockets';
import { flowsOf } from './faults/remains';
import { SteadyLoad, unserved, type Outcomes } from './faults/steady-load';
import { APP, curl } from './support';

/** A front passes its sockets to a successor: nobody is refused, reset or kept waiting. */

const RATE = amount(250, 400);
const RESTARTS = amount(3, 50);
/** Open at once: few need to be, and on a machine with other work more would only wait for each other. */
const MOST_OPEN = 64;
/** Between two restarts, so that each meets a front that has come to rest. */
const PAUSE_MS = 300;
/** On a machine that has other work too. */
const PATIENCE_MS = 30_000;
const EXIT_TIMEOUT_MS = 60_000;
/** curl(1), "Failed to connect to host". */
const CURL_REFUSED = 7;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ app: APP, clientAddresses: 20 });
}, EXIT_TIMEOUT_MS);

afterAll(() => cluster.destroy());

function steady(): Promise<SteadyLoad> {
  return SteadyLoad.start(cluster.client, { rate: RATE, patienceMs: PATIENCE_MS, mostOpen: MOST_OPEN });
}

const NONE_LOST = { refused: 0, unconnected: 0, reset: 0, closed: 0, wrong: 0, hung: 0 };

async function gone(front: LabProgram): Promise<void> {
  const limit = sleep(EXIT_TIMEOUT_MS, 'still there', { ref: false });
  expect(await Promise.race([front.exited.then(() => 'gone'), limit])).toBe('gone');
}

function summary({ started, served, longestGap, p50, p99, max, ...rest }: Outcomes): string {
  const ms = (value: number): string => `${value.toFixed(0)} ms`;
  return (
    `${started} connections, ${served} served, ${unserved({ started, served, longestGap, p50, p99, max, ...rest })}; ` +
    `longest gap between two responses ${ms(longestGap)}, latency p50 ${ms(p50)}, p99 ${ms(p99)}, max ${ms(max)}`
  );
}

test(
  `${RESTARTS} planned restarts at ${RATE} connections per second, with 1, 2, 1, ... accepting threads`,
  async () => {
    const transfers = await BackgroundTransfers.start(cluster.client, VIP4, { downloads: 2, uploads: 2 });
    const load = await steady();
    const first = cluster.front;
    const ms: number[] = [];
    for (let k = 0; k < RESTARTS; k++) {
      await sleep(PAUSE_MS);
      cluster.writeFrontConfig({ workers: 1 + ((k + 1) % 2) });
      const began = performance.now();
      const before = await cluster.restartFront();
      ms.push(performance.now() - began);
      await gone(before);
    }
    const outcomes = await load.stop();
    const bulk = await transfers.stop();
    process.stdout.write(
      `  ${RESTARTS} restarts under load, ${Math.max(...ms).toFixed(0)} ms at most until the successor serves: ` +
        `${summary(outcomes)}\n  meanwhile ${bulk.complete} of ${bulk.begun} transfers ` +
        `(${Math.round(bulk.bytes / 2 ** 20)} MiB) came through right, ${bulk.failed.length} lost\n`,
    );
    expect(outcomes).toMatchObject({ ...NONE_LOST, served: outcomes.started });
    expect(outcomes.started).toBeGreaterThan(RESTARTS * PAUSE_MS * 0.001 * RATE);
    expect(bulk.failed).toEqual([]);
    expect(bulk.complete).toBe(bulk.begun);
    expect(await first.exited).toEqual({ code: 0, signal: null });
    // The counters went on over all fronts, and no connection was counted twice or not at all.
    expect(await cluster.frontMetric('baton_connections_accepted_total')).toBe(outcomes.started + bulk.begun);
    const { workers } = await cluster.frontApi<{ workers: number }>('/v1/status');
    expect(workers).toBe(1 + (RESTARTS % 2));
    await cluster.until('no flow is left', async () => (await flowsOf(cluster)) === 0);
  },
  90_000 + RESTARTS * 20_000,
);

/** Ends the front and starts one that no other has started: how that ends, its parent hears. */
async function startAnew(): Promise<void> {
  await cluster.front.stop();
  cluster.writeFrontConfig({});
  await cluster.startFront();
}

function childrenOf({ pid }: LabProgram): number[] {
  return (readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').match(/\d+/g) ?? []).map(Number);
}

/** Has the front start a successor, and returns the new process at once. */
async function startSuccessor(front: LabProgram): Promise<number> {
  await cluster.until('no child is left', () => Promise.resolve(childrenOf(front).length === 0));
  front.kill('SIGUSR2');
  await cluster.until('a child', () => Promise.resolve(childrenOf(front).length === 1));
  return childrenOf(front)[0] ?? NaN;
}

test('a successor that does not come to serve leaves everything as it was', async () => {
  const load = await steady();
  const { front } = cluster;
  const pin = `${cluster.lab.pin}x`;
  const bind = '198.19.0.77:80';
  const taken = '127.0.0.1:9199';
  const script = `require('node:net').createServer().listen(9199, '127.0.0.1', () => console.log('taken'))`;
  await cluster.frontHost.spawn([process.execPath, '-e', script]).waitForLine('taken', PATIENCE_MS);
  const causes: [RegExp, Settings | string][] = [
    [/front\.yaml:1:/, 'listeners: ['],
    [/steering\.pin has changed/, { steering: { interface: 'eth0', pin } }],
    [/there is no interface nope0/, { steering: { interface: 'nope0', pin: cluster.lab.pin } }],
    [/bind 198\.19\.0\.77:80: EADDRNOTAVAIL/, { listeners: [{ name: 'web', bind, protocol: 'http' }] }],
    [/admin: listen on 127\.0\.0\.1:9199: EADDRINUSE/, { admin: { listen: taken } }],
  ];
  for (const [cause, change] of causes) {
    cluster.writeFrontConfig(typeof change === 'string' ? {} : change);
    if (typeof change === 'string') writeFileSync(cluster.frontConfigFile, change);
    front.kill('SIGUSR2');
    const line = await front.waitForLine(
      (text) => text.includes('no successor') && cause.test(text),
      EXIT_TIMEOUT_MS,
    );
    expect(JSON.parse(line)).toMatchObject({ msg: 'no successor, this front goes on', pid: front.pid });
  }
  cluster.writeFrontConfig({});
  const child = await startSuccessor(front);
  // A second one meanwhile is one too many.
  front.kill('SIGUSR2');
  await front.waitForLine('a successor has been started already', EXIT_TIMEOUT_MS);
  process.kill(child, 'SIGKILL');
  await front.waitForLine('has ended by SIGKILL', EXIT_TIMEOUT_MS);
  const { stdout } = await cluster.frontHost.run(['tc', 'filter', 'show', 'dev', 'eth0', 'ingress']);
  expect([existsSync(pin), existsSync(cluster.lab.pin), stdout.includes('baton_steer')]).toEqual([
    false,
    true,
    true,
  ]);
  await gone(await cluster.restartFront());
  const outcomes = await load.stop();
  process.stdout.write(
    `  ${causes.length + 1} successors that failed, and one that did not: ${summary(outcomes)}\n`,
  );
  expect(outcomes).toMatchObject({ ...NONE_LOST, served: outcomes.started });
}, 180_000);

test('SIGTERM ends a front and the successor that it is starting, and hurries one that has been succeeded', async () => {
  await startAnew();
  const child = await startSuccessor(cluster.front);
  cluster.front.kill('SIGTERM');
  expect(await cluster.front.exited).toEqual({ code: 0, signal: null });
  await cluster.until('the successor is gone', () => Promise.resolve(!existsSync(`/proc/${child}/fd/0`)));

  cluster.writeFrontConfig({ timeouts: { linger: '500ms', head: '5m' } });
  await cluster.startFront();
  const sockets = await ClientSockets.start(cluster.client);
  // It never says all of its head, and would have five minutes for it.
  const waiting = await sockets.connect({ host: VIP4 });
  await waiting.send('GET / HT');
  await cluster.until('it waits', async () => {
    const { connections } = await cluster.frontApi<{ connections: number }>('/v1/status');
    return connections === 1;
  });
  const before = await cluster.restartFront();
  before.kill('SIGTERM');
  await gone(before);
  expect(await before.exited).toEqual({ code: 0, signal: null });
  await sockets.stop();
}, 120_000);

test.each(['SIGTERM', 'SIGKILL'] as const)(
  'for comparison: %s, and a start after it',
  async (signal) => {
    await startAnew();
    await cluster.allUp();
    const load = await steady();
    await sleep(PAUSE_MS);
    const began = performance.now();
    cluster.front.kill(signal);
    const exit = await cluster.front.exited;
    const ended = performance.now();
    await cluster.startFront();
    const back = performance.now();
    await sleep(PAUSE_MS);
    const outcomes = await load.stop();
    process.stdout.write(
      `  ${signal}: ended after ${(ended - began).toFixed(0)} ms, serving again after ${(back - ended).toFixed(0)} ms more; ` +
        `${summary(outcomes)}\n`,
    );
    expect(exit).toEqual(
      signal === 'SIGTERM' ? { code: 0, signal: null } : { code: null, signal: 'SIGKILL' },
    );
    expect(outcomes).toMatchObject({ wrong: 0, hung: 0, unconnected: 0 });
    expect(outcomes.refused).toBeGreaterThan(0);
  },
  120_000,
);

test('what a front relays when it is succeeded comes to its end there', async () => {
  const count = 8;
  const bytes = 8 * 2 ** 20;
  // No agent is at this address, so every connection is relayed.
  cluster.writeFrontConfig({
    pools: { web: { backends: [{ ...cluster.backend(1), agent: '198.18.0.21:7499' }] } },
  });
  await gone(await cluster.restartFront());
  const noBackend = (): Promise<number> =>
    cluster.frontMetric('baton_fallbacks_total', { reason: 'no_backend' });
  const earlier = await noBackend();
  const sockets = await ClientSockets.start(cluster.client);
  const idle = await sockets.connect({ host: VIP4 });
  await idle.get('/who');
  expect((await idle.response()).head).toMatch(/^connection: keep-alive/im);
  const sha256 = (from: string): Promise<Result> => {
    const script = `curl -sS --limit-rate 4M 'http://${from}/bytes?n=${bytes}&seed=3' | sha256sum`;
    return cluster.client.run(['sh', '-c', script], { timeoutMs: PATIENCE_MS });
  };
  const downloads = Array.from({ length: count }, () => sha256(VIP4));
  await cluster.until('all are relayed', async () => {
    const { connections } = await cluster.frontApi<{ connections: number }>('/v1/status');
    return connections === count + 1;
  });

  const before = await cluster.restartFront();
  expect((await cluster.frontApi<{ connections: number }>('/v1/status')).connections).toBe(0);
  const sums = (await Promise.all(downloads)).map(({ stdout }) => stdout);
  const { stdout: direct } = await sha256('198.18.0.21:8080');
  expect(sums).toEqual(Array(count).fill(direct));
  // One that waits for its next request may have it answered, and is asked to come again elsewhere.
  await idle.get('/who');
  expect((await idle.response()).head).toMatch(/^connection: close/im);
  expect(await idle.ended()).toBe('FIN');
  await gone(before);
  expect((await noBackend()) - earlier).toBe(count + 1);
  process.stdout.write(`  ${count + 1} relayed connections outlived a restart, 0 lost\n`);
  await sockets.stop();
}, 120_000);

// The last one: its front is not where the others look for it.
test('a successor may have another node, admin address, interface and other listeners', async () => {
  const link = 'ip link add other0 type veth peer name other1';
  expect(await cluster.frontHost.run(link.split(' '))).toMatchObject({ code: 0 });
  const transfers = await BackgroundTransfers.start(cluster.client, VIP4, { downloads: 2, uploads: 2 });
  cluster.writeFrontConfig({
    node: 'front-2',
    admin: { listen: '127.0.0.1:9190' },
    steering: { interface: 'other0', pin: cluster.lab.pin, max_flows: 65_536 },
    listeners: [81, 82].map((port) => ({ name: `web${port}`, bind: `${VIP4}:${port}`, protocol: 'http' })),
  });
  await gone(await cluster.restartFront());
  await cluster.front.waitForLine('steering.interface has changed', 1000);
  const status = await curl(cluster.frontHost, ['http://127.0.0.1:9190/v1/status']);
  expect(JSON.parse(status)).toMatchObject({ node: 'front-2', serving: true });
  for (const port of [81, 82]) await curl(cluster.client, [`http://${VIP4}:${port}/who`]);
  const old = await cluster.client.run(['curl', '-s', '-m', '5', `http://${VIP4}:80/who`]);
  const admin = await cluster.frontHost.run(['curl', '-s', '-m', '5', 'http://127.0.0.1:9180/healthz']);
  expect([old.code, admin.code]).toEqual([CURL_REFUSED, CURL_REFUSED]);
  const bulk = await transfers.stop();
  expect(bulk).toMatchObject({ failed: [], complete: bulk.begun });
}, 120_000);
