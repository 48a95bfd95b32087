/**
 * How fast is an agent's `upstream` adapter, beside nginx with the same local relay to do? The application of both is an nginx
 * with files, so that the relay is what is measured. Connections stay: after one handoff each no front is in the way, and
 * the clients reach the other relay without one.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cluster } from '../../src/lab/cluster';
import { KEPT_UPSTREAM, TUNED_LOCATION } from '../competitors/nginx';
import { startNginx } from '../nginx-process';
import { inRounds } from '../rounds';
import { formatRatio, formatSpread, sideBySide, spreadOf } from '../spread';
import { markdown } from '../table';
import { watched } from '../watched';
import { wrk, type LoadResult } from '../wrk';
import type { Answer, Context, Question } from './question';

const KIB = 1024;
/** Long enough for Node to compile what is hot: a relay takes more of it than an application that answers from memory. */
const WARM_UP_SECONDS = 4;
const APPLICATION = '127.0.0.1:8090';
const NGINX_PORT = 8081;

const LOADS = [
  { title: '1 KiB, c=64', bytes: KIB, connections: 64 },
  { title: '64 KiB, c=32', bytes: 64 * KIB, connections: 32 },
] as const;
type Load = (typeof LOADS)[number];

interface Relay {
  readonly name: 'upstream' | 'nginx';
  readonly target: string;
  readonly pid: number;
}

/** The one in question and the one beside it. */
type Relays = readonly [adapter: Relay, nginx: Relay];

interface Figures {
  readonly requestsPerSecond: number;
  /** Of the relay, seconds. */
  readonly cpuPerRequest: number;
  readonly failures: number;
  readonly foreign: number;
}

interface Round {
  readonly upstream: Figures;
  readonly nginx: Figures;
}

interface Row {
  readonly load: Load;
  readonly rounds: readonly Round[];
}

export const upstream: readonly Question[] = [
  {
    name: 'upstream',
    title: "An agent's upstream adapter against nginx with the same local relay, kept alive",
    ask,
  },
];

async function ask(context: Context): Promise<Answer> {
  const cluster = await Cluster.start({
    // Not used where there is an upstream.
    app: join(__dirname, '../app.mjs'),
    backends: 1,
    agent: () => ({ serve: { upstream: `http://${APPLICATION}` } }),
  });
  try {
    const relays = await startRelays(cluster);
    const rows: Row[] = [];
    for (const load of LOADS) rows.push(await rowOf(cluster, relays, load, context));
    return { table: tableOf(rows), data: rows, bars: barsOf(rows) };
  } finally {
    await cluster.destroy();
  }
}

/** The application, and both relays to it, on the backend's host. */
async function startRelays(cluster: Cluster): Promise<Relays> {
  const { lab } = cluster;
  const host = lab.host('b1');
  const root = join(lab.dir, 'files');
  mkdirSync(root);
  for (const { bytes } of LOADS) writeFileSync(join(root, String(bytes)), Buffer.alloc(bytes, 0x61));
  await startNginx(host, {
    name: 'application',
    dir: lab.dir,
    http: ['open_file_cache max=10;'],
    listen: APPLICATION,
    server: [`root ${root};`],
    probe: `/${KIB}`,
  });
  const nginx = await startNginx(host, {
    name: 'relay',
    dir: lab.dir,
    http: [`upstream application { ${[`server ${APPLICATION};`, ...KEPT_UPSTREAM].join(' ')} }`],
    listen: `${host.address4}:${NGINX_PORT}`,
    server: [`location / { ${['proxy_pass http://application;', ...TUNED_LOCATION].join(' ')} }`],
    probe: `/${KIB}`,
  });
  const [agent] = cluster.agents;
  if (agent === undefined) throw new Error('no agent');
  return [
    { name: 'upstream', target: `${lab.vip4}:80`, pid: agent.pid },
    { name: 'nginx', target: `${host.address4}:${NGINX_PORT}`, pid: nginx.pid },
  ];
}

async function rowOf(cluster: Cluster, [adapter, nginx]: Relays, load: Load, context: Context): Promise<Row> {
  const measured = await inRounds([adapter, nginx], context, {
    name: `upstream, ${load.title}`,
    warmUp: (relay) => generate(cluster, relay, load, WARM_UP_SECONDS),
    measure: (relay) => measure(cluster, relay, load, context.seconds),
  });
  const rounds = sideBySide(measured.get(adapter), measured.get(nginx));
  return { load, rounds: rounds.map(([first, second]) => ({ upstream: first, nginx: second })) };
}

async function measure(cluster: Cluster, relay: Relay, load: Load, seconds: number): Promise<Figures> {
  const { result, cpu, foreign } = await watched([[relay.pid]], () =>
    generate(cluster, relay, load, seconds),
  );
  return {
    requestsPerSecond: result.requests / result.seconds,
    cpuPerRequest: (cpu[0] ?? NaN) / result.requests,
    failures: result.failures,
    foreign,
  };
}

function generate(cluster: Cluster, { target }: Relay, load: Load, seconds: number): Promise<LoadResult> {
  const { bytes, connections } = load;
  return wrk(cluster.client, { target, path: `/${bytes}`, connections, seconds, close: false });
}

function tableOf(rows: readonly Row[]): string {
  const whole = (value: number): string => value.toFixed(0);
  const microseconds = (value: number): string => (value * 1e6).toFixed(1);
  const lines = rows.map(({ load, rounds }) => {
    const compared = (
      key: 'requestsPerSecond' | 'cpuPerRequest',
      show: (value: number) => string,
    ): string[] => {
      const of = (relay: keyof Round): number[] => rounds.map((each) => each[relay][key]);
      return [
        formatSpread(spreadOf(of('upstream')), show),
        formatSpread(spreadOf(of('nginx')), show),
        formatRatio(of('upstream'), of('nginx')),
      ];
    };
    return [
      load.title,
      ...compared('requestsPerSecond', whole),
      ...compared('cpuPerRequest', microseconds),
      whole(rounds.reduce((sum, each) => sum + each.upstream.failures + each.nginx.failures, 0)),
    ];
  });
  const head = [
    '',
    'requests/s upstream',
    'nginx',
    'upstream / nginx',
    'CPU per request, µs, upstream',
    'nginx',
    'upstream / nginx',
    'failures',
  ];
  return markdown(head, lines);
}

function barsOf(rows: readonly Row[]): Answer['bars'] {
  return rows.map(({ load, rounds }) => ({
    title: `Relay on the backend's host, ${load.title}`,
    bars: (['upstream', 'nginx'] as const).map((name) => {
      const value = spreadOf(rounds.map((each) => each[name].requestsPerSecond));
      return { name, value, label: `${value.median.toFixed(0)} requests/s` };
    }),
  }));
}
