/** Sessions that their applications let go of: the example services, moved from one backend to another while somebody talks. */
import { join } from 'node:path';
import { Cluster } from '../../src/lab/cluster';
import { VIP4 } from '../../src/lab/topology';
import { percentiles, report } from './support';

const MOVES = 100;
const TIMEOUT_MS = 120_000;
const CONFIG = join(__dirname, '../../config');
const SCRIPT = join(__dirname, 'clients/session.mjs');
const ECHO_PORT = 7000;

interface Session {
  readonly said: number;
  readonly wrong: readonly string[];
  readonly ms: readonly number[];
}

interface Flow {
  readonly flow: string;
  readonly moves: readonly { readonly from: string; readonly to: string; readonly reason: string }[];
}

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({
    app: join(CONFIG, 'chat.mjs'),
    backends: 2,
    agent: (k, { lab }) => ({
      serve: {
        app: join(CONFIG, 'chat.mjs'),
        listen: `${lab.host(`b${k}`).address4}:8080`,
        tcp: join(CONFIG, 'echo.mjs'),
      },
    }),
    front: (of) => ({
      listeners: [
        { name: 'web', bind: `${VIP4}:80`, protocol: 'http' },
        { name: 'echo', bind: `${VIP4}:${ECHO_PORT}`, protocol: 'tcp' },
      ],
      routes: [{ match: { listener: ['echo'] }, pool: 'echo' }, { pool: 'web' }],
      pools: {
        web: { backends: [of.backend(1), of.backend(2)] },
        echo: { fallback: 'refuse', backends: [of.backend(1), of.backend(2)] },
      },
    }),
  });
}, TIMEOUT_MS);

afterAll(() => cluster.destroy());

const flowsTo = async (port: number): Promise<readonly Flow[]> =>
  (await cluster.frontApi<{ flows: Flow[] }>('/v1/flows')).flows.filter(({ flow }) =>
    flow.endsWith(`:${port}`),
  );

test.each([
  ['echo', ECHO_PORT],
  ['chat', 80],
])(
  `a session of %s goes on through ${MOVES} moves`,
  async (kind, port) => {
    const options = { kind, address: VIP4, port, pauseMs: [0, 30] };
    const argv = [process.execPath, SCRIPT, JSON.stringify(options)];
    const client = cluster.client.spawn(argv, { stdio: ['pipe', 'pipe', 'inherit'] });
    await client.waitForLine('talking', TIMEOUT_MS);
    const flow = (await flowsTo(port))[0]?.flow ?? '';
    const ms: number[] = [];
    for (let n = 0; n < MOVES; n++) {
      const answer = await cluster.frontPost('/v1/flows/move', { flow });
      expect(answer).toMatchObject({ status: 200, body: { flow } });
      ms.push(Number(answer.body.ms));
    }
    const [moved] = await flowsTo(port);
    client.endInput();
    const { said, wrong, ms: talked } = JSON.parse(await client.waitForLine('"said"', TIMEOUT_MS)) as Session;
    expect(wrong).toEqual([]);
    expect(moved?.moves.length).toBe(16);
    report(
      `${kind}: ${MOVES} moves in ${percentiles(ms)}; ${said} words answered in ${percentiles(talked)}, none wrong`,
    );
  },
  TIMEOUT_MS,
);
