/**
 * Nobody waits for who reads a log: the reader of a pipe is stopped, the reader is gone, the disk is full, while a front or
 * an agent serves a load and has much to say.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from '../../src/lab/cluster';
import { VIP4, VIP6 } from '../../src/lab/topology';
import { amount } from '../soak';
import { BrokenPipe, FullDisk, type LogFault } from './log-faults';
import { APP, percentiles, report, runClient, type LoadResult } from './support';

const CLI = join(__dirname, '../../dist/cli.js');
const TALKATIVE_APP = join(__dirname, 'talkative-app.mjs');

const REQUESTS = amount(400, 20_000);
/** Each fails and is logged in some 7 kB: together more than a pipe or the disk holds, and more than may wait. */
const RELOADS = amount(300, 3000);
const LEAST_DROPPED = 20;
const SIGNAL_PAUSE_MS = 20;
/** Many times what a request takes on a busy machine; one that a log had stopped would take for ever. */
const MOST_MS = 5000;
const PRINTING_REQUESTS = 100;
const TIMEOUT_MS = 120_000;

const PROGRAMS = ['front', 'agent'] as const;
type Program = (typeof PROGRAMS)[number];
interface LogLine {
  readonly msg: string;
  readonly lines?: number;
  readonly cause?: string;
}

let cluster: Cluster;

beforeAll(async () => {
  // The second backend rejects what it is offered, so everybody has something to say about every connection.
  cluster = await Cluster.start({
    app: APP,
    clientAddresses: 4,
    front: SETTINGS,
    agent: (k) => (k === 2 ? { vips: [VIP6] } : {}),
  });
}, TIMEOUT_MS);

afterAll(() => cluster.destroy());

/** A case that failed must not fail the next. */
beforeEach(() => PROGRAMS.forEach(mendConfig));

/** An agent that reads one bad configuration after the other is slow, and that is no reason to relay here. */
const SETTINGS = { timeouts: { linger: '500ms', prepare: '20s' } };

type FaultName = 'a stopped reader' | 'no reader' | 'a full disk';

let faults = 0;
function makeFault(name: FaultName): LogFault {
  const directory = join(cluster.lab.dir, `fault-${++faults}`);
  return name === 'a full disk'
    ? new FullDisk(directory)
    : new BrokenPipe(name, cluster.frontHost, directory);
}

/** Starts the front, or the first agent, anew with its log as the fault needs it. */
async function restart(program: Program, name: FaultName): Promise<LogFault> {
  const fault = makeFault(name);
  const config = program === 'front' ? cluster.frontConfigFile : join(cluster.lab.dir, 'b1.yaml');
  const argv = [process.execPath, CLI, program, '--config', config];
  await processOf(program).stop();
  if (program === 'front') cluster.front = fault.start(cluster.frontHost, argv);
  else cluster.agents[0] = fault.start(cluster.lab.host('b1'), argv);
  return fault;
}

/** Waits for front and agents, whose logs tell nothing here. */
function serving(): Promise<void> {
  const up = (): Promise<boolean> =>
    cluster.allUp().then(
      () => true,
      () => false,
    );
  return cluster.until('front and agents to serve', up, TIMEOUT_MS / 2);
}

function processOf(program: Program): Cluster['front'] {
  const found = program === 'front' ? cluster.front : cluster.agents[0];
  if (found === undefined) throw new Error('there is no agent');
  return found;
}

function dropped(program: Program): Promise<number> {
  const name = 'baton_log_lines_dropped_total';
  return program === 'front' ? cluster.frontMetric(name) : cluster.agentMetric(1, name);
}

/** A load of connections, one request each; b1 has to serve them all. */
async function load(count: number): Promise<LoadResult> {
  const options = { address: VIP4, sources: cluster.client.addresses4, count, parallel: 8 };
  return runClient<LoadResult>(cluster.client, 'short-connections.mjs', options, TIMEOUT_MS);
}

function breakConfig(program: Program): void {
  const bad = Array.from({ length: 60 }, (_, index) => `${index}-${'x'.repeat(50)}`);
  if (program === 'front') cluster.writeFrontConfig({ routes: bad.map((pool) => ({ pool })) });
  else cluster.writeAgentConfig(1, { vips: bad });
}

function mendConfig(program: Program): void {
  if (program === 'front') cluster.writeFrontConfig(SETTINGS);
  else cluster.writeAgentConfig(1, {});
}

/** Makes the program log more long lines than may wait: the front `RELOADS` of them. */
async function talk(program: Program): Promise<void> {
  if (program === 'front') {
    const authorization = `Authorization: Bearer ${readFileSync(cluster.tokenFile, 'utf8').trim()}`;
    const url = `http://127.0.0.1:9180/v1/reload?[1-${RELOADS}]`;
    const argv = ['curl', '-sS', '-X', 'POST', '-H', authorization, '-w', '%{stderr}%{http_code} ', url];
    const { code, stderr } = await cluster.frontHost.run(argv, { timeoutMs: TIMEOUT_MS });
    expect([code, stderr]).toEqual([0, '422 '.repeat(RELOADS)]);
    return;
  }
  // Signals that come too close together are one, so their number says little.
  for (let count = 0; count % 20 !== 0 || (await dropped(program)) < LEAST_DROPPED; count++) {
    processOf(program).kill('SIGHUP');
    await sleep(SIGNAL_PAUSE_MS);
  }
}

test.each(['a stopped reader', 'no reader', 'a full disk'] as const)(
  'with %s everybody is served, lines are lost and counted, and the log goes on afterwards',
  async (name) => {
    const faults = await Promise.all(PROGRAMS.map((program) => restart(program, name)));
    await serving();
    expect((await load(20)).errors).toEqual([]);

    for (const fault of faults) await fault.begin();
    const reloading = PROGRAMS.map((program) => {
      breakConfig(program);
      return talk(program);
    });
    const [during] = await Promise.all([load(REQUESTS), ...reloading]);
    const lost = await Promise.all(PROGRAMS.map(dropped));
    report(
      `${name}: ${during.ms.length} of ${REQUESTS} connections served, ${percentiles(during.ms)}; ` +
        `${lost.join(' and ')} lines of front and agent dropped`,
    );
    expect(during.errors).toEqual([]);
    expect(during.ms).toHaveLength(REQUESTS);
    expect(Math.max(...during.ms)).toBeLessThan(MOST_MS);
    expect(Math.min(...lost)).toBeGreaterThanOrEqual(LEAST_DROPPED);

    for (const [index, program] of PROGRAMS.entries()) {
      const fault = faults[index] as LogFault;
      fault.end();
      mendConfig(program);
      await appears(fault, 'log lines were dropped');
      processOf(program).kill('SIGHUP');
      await appears(fault, 'configuration reloaded');
    }
    expect((await load(20)).errors).toEqual([]);
    for (const [index, program] of PROGRAMS.entries()) {
      await end(program);
      await appears(faults[index] as LogFault, '"stopped"');
      expectWholeLog(program, faults[index] as LogFault, lost[index] ?? NaN);
    }
  },
  TIMEOUT_MS,
);

async function appears(fault: LogFault, text: string): Promise<void> {
  await cluster.until(`${text} in the log`, () => Promise.resolve(fault.text().includes(text)));
}

async function end(program: Program): Promise<void> {
  processOf(program).kill('SIGTERM');
  expect(await processOf(program).exited).toEqual({ code: 0, signal: null });
}

/** Every line is whole, and what is missing was counted, where it was missed. */
function expectWholeLog(program: Program, fault: LogFault, lost: number): void {
  const text = fault.text();
  expect(text.endsWith('\n')).toBe(true);
  const lines = text
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line) as LogLine);
  const of = (wanted: string): LogLine[] => lines.filter(({ msg }) => msg === wanted);
  const reports = of('log lines were dropped');
  expect(reports.reduce((sum, line) => sum + (line.lines ?? 0), 0)).toBe(lost);
  const failed = of('reload failed, the old configuration stays').length;
  expect(failed).toBeGreaterThan(0);
  if (program === 'front') {
    expect(failed).toBeLessThan(RELOADS);
    expect(failed + lost).toBeGreaterThanOrEqual(RELOADS);
    expect(of('offer rejected').length).toBeGreaterThan(0);
  }
  report(
    `  ${program}: ${lines.length} lines, all whole; the gap is explained by "${reports[0]?.cause ?? ''}"`,
  );
}

test(
  'front and agent end in time while nobody reads their logs',
  async () => {
    for (const program of PROGRAMS) {
      await (await restart(program, 'a stopped reader')).begin();
    }
    await serving();
    for (const program of PROGRAMS) await end(program);
  },
  TIMEOUT_MS,
);

test(
  "a pipe of another user's, which may not be opened anew, stops nobody either",
  async () => {
    const fault = makeFault('a stopped reader');
    const logger = JSON.stringify(join(__dirname, '../../dist/observe/log.js'));
    // More than the pipe holds; then whoever still runs says so in another place.
    const script = `
      const log = require(${logger}).createLogger({ node: 'n', component: 'agent' });
      for (let count = 0; count < 500; count++) log.info({ pad: 'x'.repeat(500) });
      setTimeout(() => console.error('still here'), 50);`;
    const nobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];
    const started = fault.start(cluster.frontHost, [...nobody, process.execPath, '-e', script]);
    await fault.begin();
    await started.waitForLine('still here', TIMEOUT_MS / 2);
    expect(await started.exited).toEqual({ code: 0, signal: null });
    fault.end();
  },
  TIMEOUT_MS,
);

test.each(['no reader', 'a full disk'] as const)(
  'an application that prints to %s takes nothing down with it',
  async (name) => {
    const listen = `${cluster.lab.host('b1').address4}:8080`;
    cluster.writeAgentConfig(1, { serve: { app: TALKATIVE_APP, listen } });
    await restart('front', 'a stopped reader');
    const fault = await restart('agent', name);
    await serving();
    await fault.begin();
    const { errors, ms } = await load(PRINTING_REQUESTS);
    expect(errors).toEqual([]);
    expect(ms).toHaveLength(PRINTING_REQUESTS);
    report(`${name}: ${ms.length} of ${PRINTING_REQUESTS} requests of an application that prints served`);
    for (const program of PROGRAMS) await end(program);
  },
  TIMEOUT_MS,
);
