import { join } from 'node:path';
import { Cluster } from '../../src/lab/cluster';
import { VIP4, VIP6 } from '../../src/lab/topology';
import { ClientSockets } from './faults/client-sockets';
import type { RawConnection } from './faults/raw-connection';
import { descriptorsOf, untilNothingLeft } from './faults/remains';

/** Clients that send nonsense, too much, too little, too slowly or in odd pieces. */

const HEAD_MS = 2_000;
/** The timers that end a connection run every so often, and the machine has other things to do. */
const LATE_MS = 700;
/** Beyond limits.head_bytes, whose default is 16 KiB. */
const TOO_LONG = 'x'.repeat(20_000);

let cluster: Cluster;
let sockets: ClientSockets;
let descriptors: number;

beforeAll(async () => {
  const front = {
    routes: [{ match: { host: 'lab' }, pool: 'web' }],
    timeouts: { head: `${HEAD_MS}ms`, linger: '500ms' },
  };
  cluster = await Cluster.start({ app: join(__dirname, 'app.mjs'), front });
  sockets = await ClientSockets.start(cluster.client);
  descriptors = descriptorsOf(cluster.front);
}, 30_000);

afterAll(async () => {
  await sockets.stop();
  await cluster.destroy();
});

afterEach(() => untilNothingLeft(cluster, descriptors), 30_000);

function refusals(reason: string): Promise<number> {
  return cluster.frontMetric('baton_heads_refused_total', { reason });
}

async function connected<T>(body: (connection: RawConnection) => Promise<T>, host = VIP4): Promise<T> {
  const connection = await sockets.connect({ host });
  try {
    return await body(connection);
  } finally {
    connection.close();
  }
}

/** Sends the bytes and returns the status of the only response, which must be whole and end with a FIN. */
function refused(bytes: string, host?: string): Promise<number> {
  return connected(async (connection) => {
    await connection.send(bytes);
    expect(await connection.ended()).toBe('FIN');
    const { status, head } = await connection.response();
    expect(head).toMatch(/^connection: close\r$/im);
    expect(connection.text).toBe('');
    return status;
  }, host);
}

const HOST = 'Host: lab\r\n';

/** What is refused for its form is in smuggling.lab.ts. */
describe('a head that is refused', () => {
  test.each([
    ['an endless target', `GET /${TOO_LONG}`, 431, 'head_too_large'],
    ['an endless field', `GET /who HTTP/1.1\r\n${HOST}A: ${TOO_LONG.repeat(20)}`, 431, 'head_too_large'],
    ['a host that no route takes', 'GET /who HTTP/1.1\r\nHost: other\r\n\r\n', 404, 'no_route'],
  ])('for %s gets its answer and is counted', async (_name, bytes, status, reason) => {
    const before = await refusals(reason);
    expect(await refused(bytes)).toBe(status);
    expect(await refusals(reason)).toBe(before + 1);
  });

  test('gets its answer over IPv6 too, and in pieces', async () => {
    expect(await refused('GET /who HTTP/1.1\r\n\r\n', VIP6)).toBe(400);
    const status = await connected(async (connection) => {
      for (const octet of 'GET /who HTTP/3.0\r\n') await connection.send(octet);
      return (await connection.response()).status;
    });
    expect(status).toBe(505);
  });
});

describe('a head that is served', () => {
  const REQUEST = `GET /who HTTP/1.1\r\n${HOST}X-Piece: yes\r\n\r\n`;

  /** Waits until the front has looked at the bytes: they are acknowledged, and its event loop has turned since. */
  async function sendSlowly(connection: RawConnection, pieces: readonly string[]): Promise<void> {
    for (const piece of pieces) {
      await connection.send(piece);
      await cluster.frontApi('/v1/status');
    }
  }

  test('comes octet by octet', async () => {
    const who = await connected(async (connection) => {
      for (const octet of REQUEST) await connection.send(octet);
      return connection.response();
    });
    expect(who).toMatchObject({ status: 200 });
    expect(who.body).toContain('"x-piece":"yes"');
  });

  test('comes in two pieces, wherever it is cut', async () => {
    for (const cut of [1, 4, 17, 18, 19, REQUEST.length - 3, REQUEST.length - 1]) {
      const who = await connected(async (connection) => {
        await sendSlowly(connection, [REQUEST.slice(0, cut), REQUEST.slice(cut)]);
        return connection.response();
      });
      expect(who).toMatchObject({ status: 200 });
      expect(JSON.parse(who.body)).toMatchObject({ client: cluster.client.address4 });
    }
  });

  test('is followed by more requests in its packet, all answered in order', async () => {
    const paths = Array.from({ length: 20 }, (_, k) => `/who?k=${k}`);
    const requests = paths.map((path) => `GET ${path} HTTP/1.1\r\n${HOST}\r\n`).join('');
    const responses = await connected(async (connection) => {
      await connection.send(requests);
      return connection.responses(paths.length);
    });
    const asked = responses.map(({ body }) => (JSON.parse(body) as { path: string }).path);
    expect(asked).toEqual(paths);
  });

  test('is followed by the end of the request, and answered in full', async () => {
    const answered = async (n: number): Promise<void> =>
      connected(async (connection) => {
        void connection.send(`GET /bytes?n=${n}&seed=7 HTTP/1.1\r\n${HOST}\r\n`);
        connection.finish();
        expect(await connection.ended()).toBe('FIN');
        const { status, body } = await connection.response();
        expect({ status, length: body.length }).toEqual({ status: 200, length: n });
        expect(connection.text).toBe('');
      });
    await Promise.all([0, 1, 100_000, 4_000_000].map(answered));
  });
});

describe('a client that keeps the front waiting', () => {
  async function timedEnd(connection: RawConnection, begin: number): Promise<number> {
    await connection.ended(HEAD_MS + LATE_MS);
    return connection.endedAt - begin;
  }

  test('is closed when it has said nothing in time', async () => {
    const before = await refusals('timeout');
    const begin = performance.now();
    await connected(async (connection) => {
      const ms = await timedEnd(connection, begin);
      expect(ms).toBeGreaterThan(HEAD_MS - 100);
      expect(connection.text).toBe('');
      process.stdout.write(`  silent client closed after ${ms.toFixed(0)} ms of ${HEAD_MS}\n`);
    });
    expect(await refusals('timeout')).toBe(before + 1);
  });

  test('gets 408 for half a head, however slowly it goes on', async () => {
    const before = await refusals('timeout');
    const begin = performance.now();
    await connected(async (connection) => {
      await connection.send(`GET /who HTTP/1.1\r\n${HOST}`);
      const drip = setInterval(() => void connection.send('A: b\r\n'), 200);
      const ms = await timedEnd(connection, begin).finally(() => clearInterval(drip));
      expect(ms).toBeGreaterThan(HEAD_MS - 100);
      expect(await connection.ended()).toBe('FIN');
      expect(await connection.response()).toMatchObject({ status: 408 });
    });
    expect(await refusals('timeout')).toBe(before + 1);
  });

  test('is forgotten when it goes away with half a head', async () => {
    for (const end of ['close', 'reset', 'finish'] as const) {
      const connection = await sockets.connect({ host: VIP4 });
      await connection.send('GET /who HT');
      connection[end]();
    }
  });
});
