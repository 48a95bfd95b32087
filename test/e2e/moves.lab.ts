/** Live connections that move from one backend to another: by name, and when a backend is drained. */
import { Cluster } from '../../src/lab/cluster';
import { Asking, expectNothingLost } from './asking';
import { adoptedBy } from './exhaustion/holders';
import { asksAndMoves } from './moving';
import { APP, percentiles, report } from './support';

const TIMEOUT_MS = 60_000;
const NODES = ['b1', 'b2', 'b3'];

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ app: APP, backends: 3, clientAddresses: 4 });
}, TIMEOUT_MS);

afterAll(() => cluster.destroy());

interface Flow {
  readonly flow: string;
  readonly backend: string;
  readonly moves: readonly { readonly from: string; readonly to: string; readonly reason: string }[];
}

const flows = async (): Promise<readonly Flow[]> =>
  (await cluster.frontApi<{ flows: Flow[] }>('/v1/flows?limit=10000')).flows;

test(
  'a connection moves a hundred times while its client goes on asking',
  async () => {
    const asking = await Asking.start(cluster.client, { count: 1, pauseMs: [0, 5], bodyEvery: 7 });
    const flow = (await flows())[0]?.flow ?? '';
    const ms: number[] = [];
    for (let n = 0; n < 100; n++) {
      const to = NODES[n % 3];
      const { status, body } = await cluster.frontPost('/v1/flows/move', { flow, to });
      if (status === 409 && body.reason === 'refused' && n === 0) continue;
      expect({ status, body }).toMatchObject({ status: 200, body: { flow, backend: to } });
      ms.push(Number(body.ms));
    }
    const asked = await asking.stop();
    expectNothingLost(asked, 1);
    // It may have moved on before it was served.
    expect(asked.changes).toBeGreaterThan(ms.length / 2);
    report(
      `${ms.length} moves, by the API in ${percentiles(ms)}; ${asked.requests} requests in ${percentiles(asked.ms)}, behind a move in ${percentiles(asked.changedMs)}`,
    );
  },
  TIMEOUT_MS,
);

test(
  'what clients see of a hundred moves in a second',
  async () => {
    // How long a pause is, `npm run bench -- --only moves` says.
    const CONNECTIONS = 200;
    const seen = await asksAndMoves(cluster, { connections: CONNECTIONS, seconds: 3, perSecond: 100 });
    expectNothingLost(seen, CONNECTIONS);
    const { moved, seconds, requests, changes, changedMs, keptMs } = seen;
    expect(moved).toBeGreaterThan(250);
    report(
      `${moved} moves in ${seconds.toFixed(1)} s; ${changes} of ${requests} requests behind a move, in ${percentiles(changedMs)}; ` +
        `the others in ${percentiles(keptMs)}`,
    );
  },
  TIMEOUT_MS,
);

/** The first backend's flows in the front's table, lingering ones left out. */
async function flowsOf(name: string): Promise<number> {
  const { backends } = await cluster.frontApi<{ backends: { name: string; flows: number }[] }>(
    '/v1/backends',
  );
  return backends.find((each) => each.name === name)?.flows ?? NaN;
}

test(
  'backends are drained one after the other, and no connection is lost',
  async () => {
    const [CONNECTIONS, MOVES] = [2000, 10_000];
    const asking = await Asking.start(cluster.client, {
      count: CONNECTIONS,
      pauseMs: [300, 3000],
      bodyEvery: 5,
    });
    const drained = (): Promise<number> =>
      cluster.frontMetric('baton_moves_total', { reason: 'drain', result: 'ok' });
    const before = await drained();
    const seconds: number[] = [];
    let moved = 0;
    while (moved < MOVES) {
      const name = NODES[seconds.length % NODES.length] ?? '';
      const began = performance.now();
      expect(await cluster.frontPost(`/v1/backends/web/${name}/drain`)).toMatchObject({ status: 200 });
      await cluster.until(`${name} drained`, async () => (await flowsOf(name)) === 0);
      seconds.push((performance.now() - began) / 1000);
      expect(await cluster.frontPost(`/v1/backends/web/${name}/ready`)).toMatchObject({ status: 200 });
      moved = (await drained()) - before;
    }
    const asked = await asking.stop();
    expectNothingLost(asked, CONNECTIONS);
    report(
      `${moved} moves by ${seconds.length} drains, ${Math.max(...seconds).toFixed(1)} s at most; ${asked.requests} requests in ${percentiles(asked.ms)}, behind a move in ${percentiles(asked.changedMs)}`,
    );
  },
  2 * TIMEOUT_MS,
);

/** Connections of each backend, as their agents know them. */
const adopted = (): Promise<number[]> => adoptedBy(cluster);

test(
  'a backend that is back gets its part of the connections that are there',
  async () => {
    const CONNECTIONS = 60;
    expect(await cluster.frontPost('/v1/backends/web/b3/drain')).toMatchObject({ status: 200 });
    const asking = await Asking.start(cluster.client, { count: CONNECTIONS, pauseMs: [20, 60] });
    await cluster.until('two of them have all', async () => String(await adopted()) === '30,30,0');
    expect(await cluster.frontPost('/v1/backends/web/b3/ready')).toMatchObject({ status: 200 });
    // It goes by the table, which is counted once a second: a plan may come too early for the connections of before.
    await cluster.until('each has its part', async () => {
      await cluster.frontPost('/v1/pools/web/rebalance');
      return String(await adopted()) === '20,20,20';
    });
    expectNothingLost(await asking.stop(), CONNECTIONS);
    expect(await cluster.frontPost('/v1/pools/none/rebalance')).toMatchObject({ status: 404 });
  },
  TIMEOUT_MS,
);

test(
  'an agent that is told to stop hands its connections to the others',
  async () => {
    const CONNECTIONS = 90;
    const asking = await Asking.start(cluster.client, {
      count: CONNECTIONS,
      pauseMs: [5, 200],
      bodyEvery: 5,
    });
    for (const k of [1, 2, 3]) {
      const agent = cluster.agents[k - 1];
      const began = performance.now();
      agent?.kill('SIGTERM');
      expect(await agent?.exited).toMatchObject({ code: 0 });
      report(`agent b${k} ended ${(performance.now() - began).toFixed(0)} ms after SIGTERM`);
      await cluster.startAgent(k);
      await cluster.allUp();
    }
    const asked = await asking.stop();
    expectNothingLost(asked, CONNECTIONS);
    report(`three agents restarted: ${asked.requests} requests, ${asked.changes} moves, none lost`);
  },
  TIMEOUT_MS,
);
