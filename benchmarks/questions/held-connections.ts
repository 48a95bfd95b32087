/**
 * What does an idle connection cost the front's host in memory?
 *
 * A round starts each competitor anew, warms it up, and holds so many connections through it, each of which has had one
 * response. Its processes are asked for what is resident before and while they are held.
 *
 * The kernel's memory cannot be asked by host here: the clients, the front and the backends share one kernel, and control groups
 * do not know of sockets that a packet has made. So it is had in two ways that have to agree:
 *
 *   counted      sockets in the namespace of the front's host, each at what a socket costs, and the flow table
 *   left over    what the machine's slabs have grown by, less what its clients' and backends' sockets cost
 *
 * where what a socket costs, with its file and its place in an epoll set, comes from the connections straight to the backends:
 * the same clients, two sockets for each, and nothing in between. Tables of descriptors (8 octets a connection) are in no slab.
 *
 * 10,000 connections for all; with `--seconds` from 10 on also 100,000 for those that no limit of open files stops: a proxy
 * has a descriptor for each.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../../src/lab/host';
import { Holders } from '../../test/e2e/exhaustion/holders';
import { Bench, type Load } from '../bench';
import { baton } from '../competitors/baton';
import type { Competitor, Running } from '../competitors/competitor';
import { BACKEND_PORT } from '../competitors/competitor';
import { direct } from '../competitors/direct';
import { haproxyTunedFor } from '../competitors/haproxy';
import { nginxTunedFor } from '../competitors/nginx';
import { treeOf } from '../cpu';
import { FlowMap } from '../flow-map';
import { residentBytes, slabBytes } from '../memory';
import { inRounds } from '../rounds';
import { spreadOf, type Spread } from '../spread';
import { markdown } from '../table';
import type { Answer, Context, Question } from './question';

const APP = join(__dirname, '../patient-app.mjs');
const FEW = 10_000;
const MANY = 100_000;
/** Memory varies less than speed, and a round takes half a minute. */
const MOST_ROUNDS = 2;
/** The shortest measurement that says that time does not matter: MANY take minutes. */
const PATIENT_SECONDS = 10;
/** An agent may have 20,000 descriptors on common hosts, and keeps some of them for other things. */
const MOST_PER_BACKEND = 12_500;
const LEAST_BACKENDS = 2;
/** Room in a proxy's limits for its connections to the backends. */
const ROOM = 2_000;
const REQUEST = 'GET /1 HTTP/1.1\r\nHost: held\r\n\r\n';
/** What grows once for all and not for each connection shall have grown. */
const WARM_UP: Load = { path: '/1024', connections: 64, close: true };
const WARM_UP_SECONDS = 2;
/** For what is freed in the background. */
const SETTLE_MS = 1_500;

interface Reading {
  /** Octets of the competitor's processes. */
  readonly front: number;
  readonly backends: number;
  readonly slabs: number;
  readonly flowTable: number;
  /** TCP sockets. */
  readonly frontSockets: number;
  readonly backendSockets: number;
}

/** For each connection, in what was read before and while they were held. */
type Growth = { readonly [Key in keyof Reading]: number };

interface Round {
  readonly growth: Growth;
  /** What the competitor had before, octets of its processes. */
  readonly idle: number;
}

interface Row {
  readonly count: number;
  readonly competitor: string;
  readonly idle: Spread;
  readonly resident: Spread;
  readonly sockets: Spread;
  readonly counted: Spread;
  readonly leftOver: Spread;
  readonly flowTable: Spread;
  readonly backendSockets: Spread;
  readonly rounds: readonly Round[];
}

export const heldConnections: readonly Question[] = [
  { name: 'held-connections', title: 'Memory of the front for each idle connection', ask },
];

async function ask(context: Context): Promise<Answer> {
  const counts = context.seconds >= PATIENT_SECONDS ? [FEW, MANY] : [FEW];
  const rows: Row[] = [];
  for (const count of counts) rows.push(...(await rowsOf(count, context)));
  const bars = rows
    .filter(({ count, competitor }) => count === FEW && competitor !== direct.name)
    .map(({ competitor, resident, counted }) => {
      const value = plus(resident, counted);
      return { name: competitor, value, label: `${value.median.toFixed(0)} B` };
    });
  const title = `Resident and kernel memory of the front for each of ${FEW} idle connections`;
  return { table: tableOf(rows), data: rows, bars: [{ title, bars }] };
}

async function rowsOf(count: number, context: Context): Promise<Row[]> {
  const { competitors, progress } = context;
  const rounds = Math.min(context.rounds, MOST_ROUNDS);
  const contenders = [direct, baton, haproxyTunedFor(count + ROOM), nginxTunedFor(count + ROOM)].filter(
    ({ name, proxy }) =>
      name === direct.name ||
      (competitors.some((each) => each.name === name) && !(proxy && count + ROOM > mostFiles())),
  );
  const backends = Math.max(LEAST_BACKENDS, Math.ceil(count / MOST_PER_BACKEND));
  const bench = await Bench.open([], {
    app: APP,
    // As many as there are backends, so that those of `direct` get the same share each.
    clients: Math.max(4, backends),
    backends,
    agent: () => ({ serve: { app: APP, listen: `0.0.0.0:${BACKEND_PORT}` } }),
    front: (cluster) => ({
      steering: { interface: 'eth0', pin: cluster.lab.pin, max_flows: 2 * count },
      timeouts: { linger: '1s' },
    }),
  });
  try {
    await withoutTimeWait(bench);
    const measured = await inRounds(
      contenders,
      { rounds, progress },
      {
        name: `held-connections, ${count}`,
        measure: (contender) => hold(bench, contender, count),
      },
    );
    const reference = measured.get(direct) ?? [];
    const perSocket = spreadOf(
      reference.map(({ growth }) => growth.slabs / (1 + growth.backendSockets)),
    ).median;
    return [...measured].map(([{ name }, all]) => rowOf(count, name, all, perSocket));
  } finally {
    await bench.close();
  }
}

/** Sockets in TIME_WAIT, of the warm-up and of the round before, would go away in the midst of a measurement. */
async function withoutTimeWait({ cluster: { lab } }: Bench): Promise<void> {
  for (const host of [...lab.clients, ...lab.fronts, ...lab.backends]) {
    await host.run(['sysctl', '-qw', 'net.ipv4.tcp_max_tw_buckets=0']);
  }
}

/** One round of one competitor. */
async function hold(bench: Bench, contender: Competitor, count: number): Promise<Round> {
  const running = await startAnew(bench, contender);
  const flows = FlowMap.open(bench.cluster.lab.pin);
  try {
    await bench.warmUp(contender, WARM_UP, WARM_UP_SECONDS);
    await gone(bench, flows);
    await sleep(SETTLE_MS);
    const before = await read(bench, running, flows);
    const { clients } = bench.cluster.lab;
    const holders = clients.map((host, index) => {
      const [address = '', port] = (running.targets[index % running.targets.length] ?? '').split(':');
      return Holders.start(host, {
        count: Math.ceil(count / clients.length),
        address,
        port: Number(port),
        answerFirst: true,
        text: REQUEST,
      });
    });
    for (const each of holders) await each.answered();
    await sleep(SETTLE_MS);
    const during = await read(bench, running, flows);
    for (const each of holders) {
      const { failed, reset, closed } = await each.stop();
      if (failed + reset + closed > 0)
        throw new Error(`${contender.name}: ${failed + reset + closed} connections were lost`);
    }
    await gone(bench, flows);
    return { growth: growthOf(before, during, count), idle: before.front };
  } finally {
    flows.close();
    if (contender.proxy) await end(bench, running);
  }
}

/** What a round before has left in a process's heap would hide what this one needs. */
async function startAnew(bench: Bench, contender: Competitor): Promise<Running> {
  const { cluster } = bench;
  if (contender === baton) {
    await cluster.front.stop();
    await cluster.startFront();
    await cluster.allUp();
  }
  return bench.start(contender);
}

async function end({ cluster }: Bench, { pid }: Running): Promise<void> {
  if (pid === undefined) return;
  const pids = treeOf(pid);
  process.kill(pid, 'SIGTERM');
  await cluster.until(`the end of ${pid}`, () => Promise.resolve(pids.every((each) => !isRunning(each))));
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Waits until nothing is left of earlier connections. */
async function gone({ cluster }: Bench, flows: FlowMap): Promise<void> {
  await cluster.until('the end of all connections', async () => {
    const clients = await Promise.all(cluster.lab.clients.map(socketsOf));
    return flows.size === 0 && clients.every((sockets) => sockets === 0);
  });
}

async function read({ cluster }: Bench, { pid }: Running, flows: FlowMap): Promise<Reading> {
  const sockets = await Promise.all(cluster.lab.backends.map(socketsOf));
  return {
    front: pid === undefined ? 0 : residentBytes(treeOf(pid)),
    backends: residentBytes(cluster.agents.flatMap((agent) => treeOf(agent.pid))),
    slabs: slabBytes(),
    flowTable: flows.bytes,
    frontSockets: await socketsOf(cluster.frontHost),
    backendSockets: sockets.reduce((sum, each) => sum + each, 0),
  };
}

function growthOf(before: Reading, during: Reading, count: number): Growth {
  const keys = Object.keys(before) as (keyof Reading)[];
  return Object.fromEntries(keys.map((key) => [key, (during[key] - before[key]) / count])) as Growth;
}

/** TCP sockets in use in a host's namespace. */
async function socketsOf(host: Host): Promise<number> {
  const { stdout } = await host.run(['cat', '/proc/net/sockstat', '/proc/net/sockstat6']);
  return [...stdout.matchAll(/^TCP6?: inuse (\d+)/gm)].reduce((sum, [, inUse]) => sum + Number(inUse), 0);
}

function rowOf(count: number, competitor: string, rounds: readonly Round[], perSocket: number): Row {
  const of = (figure: (growth: Growth) => number): Spread =>
    spreadOf(rounds.map(({ growth }) => figure(growth)));
  return {
    count,
    competitor,
    idle: spreadOf(rounds.map(({ idle }) => idle)),
    resident: of(({ front }) => front),
    sockets: of(({ frontSockets }) => frontSockets),
    counted: of(({ frontSockets, flowTable }) => frontSockets * perSocket + flowTable),
    leftOver: of(({ slabs, backendSockets }) => slabs - (1 + backendSockets) * perSocket),
    flowTable: of(({ flowTable }) => flowTable),
    backendSockets: of(({ backendSockets }) => backendSockets),
    rounds,
  };
}

function plus(a: Spread, b: Spread): Spread {
  return { median: a.median + b.median, least: a.least + b.least, most: a.most + b.most };
}

/** Octets for each connection. */
function tableOf(rows: readonly Row[]): string {
  const octets = (value: number): string => value.toFixed(0);
  const lines = rows.map((row) => [
    row.competitor,
    String(row.count),
    `${(row.idle.median / 1e6).toFixed(0)} MB`,
    octets(row.resident.median),
    `${octets(row.resident.least)}-${octets(row.resident.most)}`,
    row.sockets.median.toFixed(2),
    octets(row.counted.median),
    octets(row.leftOver.median),
    octets(row.flowTable.median),
    octets(plus(row.resident, row.counted).median),
    row.backendSockets.median.toFixed(2),
  ]);
  const head = [
    '',
    'connections',
    'before',
    'resident, B',
    'spread',
    'sockets',
    'kernel (counted), B',
    'kernel (left over), B',
    'of it the flow table, B',
    'front, all, B',
    "backends' sockets",
  ];
  return markdown(head, lines);
}

/** The hard limit of open files of one process here. */
function mostFiles(): number {
  const limits = readFileSync('/proc/self/limits', 'latin1');
  return Number(/^Max open files +\S+ +(\d+)/m.exec(limits)?.[1]);
}
