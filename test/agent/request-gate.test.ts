import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  createServer,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { WebSocketServer, WebSocket } from 'ws';
import { createBalancer } from '../../src/balance/create-balancer';
import { inletOf, type HandBackOutcomes } from '../../src/agent/request-gate';
import { HEADER_BYTES, PER_REQUEST, ROUTED } from '../../src/repair/layout';
import { makeSnapshot } from '../repair/snapshots';
import { until } from '../kernel/pair';
import { closeAll, Gated, readByGate, rulesOf, TABLE, tableText } from './gated';
import { FrontRules } from '../../src/agent/front-rules';
import type { RouteConfig } from '../../src/config/model';
import type { RoutingTable } from '../../src/wire/routing-table';

const LARGE = 8 * 1024 * 1024;

const cleanups: (() => void)[] = [];
afterEach(() => {
  closeAll();
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

/** What a server was asked, in the order of it. */
interface Seen {
  readonly url: string;
  readonly method: string;
  readonly edit: string;
  /** Length and digest. */
  body: string;
}

const describeBody = (body: Buffer): string =>
  `${body.length} ${createHash('sha256').update(body).digest('hex').slice(0, 8)}`;

/** Answers with its name and what it was asked, once it has the whole body. */
function appOf(name: string, seen: Seen[]): RequestListener {
  return (request, response) => {
    const entry: Seen = {
      url: request.url ?? '',
      method: request.method ?? '',
      edit: String(request.headers['x-edit'] ?? ''),
      body: '',
    };
    seen.push(entry);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      entry.body = describeBody(Buffer.concat(chunks));
      const said = `<${name} ${request.url ?? ''} ${entry.body}>`;
      // Without it Node closes what HTTP/1.0 would keep alive.
      response.setHeader('Content-Length', Buffer.byteLength(said));
      response.end(said);
    });
  };
}

/** The server of an agent, which never listens. */
function ownServer(
  listener?: RequestListener,
  options: ServerOptions = {},
): { server: Server; seen: Seen[] } {
  const seen: Seen[] = [];
  const server = createServer(options, listener ?? appOf('own', seen));
  Object.assign(server, { httpAllowHalfOpen: true });
  server.emit('listening');
  cleanups.push(() => server.close());
  return { server, seen };
}

/** Another backend, for pool b, and the table that knows it. */
async function otherBackend(listener?: RequestListener): Promise<{
  other: Server;
  elsewhere: Seen[];
  table: RoutingTable;
}> {
  const elsewhere: Seen[] = [];
  const other = createServer(listener ?? appOf('other', elsewhere)).listen(0, '127.0.0.1');
  cleanups.push(() => {
    other.close();
    other.closeAllConnections();
  });
  await once(other, 'listening');
  const origin = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
  const pools = TABLE.pools.map((pool) =>
    pool.name === 'b' ? { ...pool, backends: [{ name: 'b2', weight: 1, origin }] } : pool,
  );
  return { other, elsewhere, table: { ...TABLE, pools } };
}

const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;
const post = (path: string, body: string, fields = ''): string =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
const EMPTY = describeBody(Buffer.alloc(0));
const bodies = (text: string): string[] =>
  [...text.matchAll(/<[^>]*>|said so|Forbidden\n/g)].map(([all]) => all.trim());

describe.each([
  ['the server', false],
  ['the gate', true],
])('read by %s at first:', (_who, gateReads) => {
  beforeEach(() => readByGate(gateReads));

  test('requests are served, answered and relayed in their order, and each server sees its own alone', async () => {
    const { server, seen } = ownServer();
    const { elsewhere, table } = await otherBackend();
    const gated = await Gated.by(server, { rules: rulesOf(table) });
    const paths = Array.from({ length: 100 }, (_, k) => ['/a', '/b', '/e', '/said', '/no'][k % 5] as string);
    gated.send(
      paths.map((path, k) => get(path === '/said' || path === '/no' ? path : `${path}/${k}`)).join(''),
    );
    await gated.answers(100);
    await until(() => bodies(gated.received).length === 100);
    expect(bodies(gated.received)).toEqual(
      paths.map((path, k) => {
        if (path === '/said') return 'said so';
        if (path === '/no') return 'Forbidden';
        if (path === '/b') return `<other /b/${k} ${EMPTY}>`;
        return `<own ${path === '/e' ? '' : '/a'}/${k} ${EMPTY}>`;
      }),
    );
    expect(seen).toHaveLength(40);
    expect(seen.every(({ url, edit }) => url.startsWith('/a') === (edit === ''))).toBe(true);
    expect(elsewhere).toHaveLength(20);
    // The connection stays what it was.
    gated.send(get('/a/again'));
    expect(await gated.answers(101)).toHaveLength(101);
  });

  test('one after the other, on the same connection', async () => {
    const { server, seen } = ownServer();
    const { elsewhere, table } = await otherBackend();
    const gated = await Gated.by(server, { rules: rulesOf(table) });
    for (let k = 0; k < 40; k++) {
      gated.send(get(['/a', '/a', '/b', '/said'][k % 4] as string));
      await gated.answers(k + 1);
    }
    expect(new Set(gated.statuses)).toEqual(new Set(['200']));
    expect([seen.length, elsewhere.length]).toEqual([20, 10]);
  });

  describe('bodies', () => {
    const text = 'GET /b HTTP/1.1\r\nHost: a\r\n\r\n';
    const chunked = `POST /a/c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${text.length.toString(16)};x=y\r\n${text}\r\n3\r\nabc\r\n0\r\nT: v\r\n\r\n`;
    const stream =
      post('/a/1', text) + chunked + get('/b/2') + post('/e/3', 'xyz') + post('/b/4', text) + get('/a/5');
    const expected = [
      `<own /a/1 ${describeBody(Buffer.from(text))}>`,
      `<own /a/c ${describeBody(Buffer.from(`${text}abc`))}>`,
      `<other /b/2 ${EMPTY}>`,
      `<own /3 ${describeBody(Buffer.from('xyz'))}>`,
      `<other /b/4 ${describeBody(Buffer.from(text))}>`,
      `<own /a/5 ${EMPTY}>`,
    ];

    test('end where they end, wherever the octets are cut', async () => {
      const { server } = ownServer();
      const { table } = await otherBackend();
      const rules = rulesOf(table);
      for (let cut = 1; cut < stream.length; cut++) {
        const gated = await Gated.by(server, { rules });
        gated.send(stream.slice(0, cut));
        // Until the gate has read that.
        await until(() => gated.socket.bytesRead === cut);
        gated.send(stream.slice(cut));
        await until(() => bodies(gated.received).length === expected.length);
        expect(bodies(gated.received)).toEqual(expected);
        gated.client.destroy();
      }
    }, 30_000);

    test('come an octet at a time', async () => {
      const { server } = ownServer();
      const { table } = await otherBackend();
      const gated = await Gated.by(server, { rules: rulesOf(table) });
      for (const [at, octet] of Array.from(stream).entries()) {
        gated.send(octet);
        await until(() => gated.socket.bytesRead === at + 1);
      }
      await until(() => bodies(gated.received).length === expected.length);
      expect(bodies(gated.received)).toEqual(expected);
    }, 30_000);

    test.each(['/a/big', '/b/big'])(
      'of any size are passed on as fast as they are read, to %s',
      async (path) => {
        const slow: RequestListener = (request, response) => {
          const digest = createHash('sha256');
          let length = 0;
          request.on('data', (chunk: Buffer) => {
            digest.update(chunk);
            length += chunk.length;
            request.pause();
            setImmediate(() => request.resume());
          });
          request.on('end', () => response.end(`<${length} ${digest.digest('hex').slice(0, 8)}>`));
        };
        const { server } = ownServer(slow);
        const { table } = await otherBackend(slow);
        const gated = await Gated.by(server, { rules: rulesOf(table) });
        const body = Buffer.alloc(LARGE, 'the octets of a large body ');
        gated.send(`POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`);
        gated.send(body);
        gated.send(get('/a/next'));
        await until(() => gated.statuses.length === 2, 20_000);
        expect(gated.received).toContain(`<${describeBody(body)}>`);
      },
      30_000,
    );

    test.each(['/a/big', '/b/big'])(
      'of answers wait for a slow client, from %s',
      async (path) => {
        const body = Buffer.alloc(LARGE, 'the octets of a large answer ');
        const large: RequestListener = (request, response) =>
          void response.end((request.url ?? '').endsWith('/next') ? '<next>' : body);
        const { server } = ownServer(large);
        const { table } = await otherBackend(large);
        const gated = await Gated.by(server, { rules: rulesOf(table) });
        gated.client.pause();
        gated.send(get(path) + get('/a/next'));
        await until(() => gated.socket.bytesWritten > 65_536);
        await sleep(50);
        expect(gated.received).toBe('');
        gated.client.resume();
        await until(() => gated.received.endsWith('<next>'), 20_000);
        expect(gated.received.length).toBeGreaterThan(LARGE);
      },
      30_000,
    );

    test.each(['/a', '/b'])('are invited by Expect, to %s', async (path) => {
      const { server } = ownServer();
      const { table } = await otherBackend();
      const gated = await Gated.by(server, { rules: rulesOf(table) });
      gated.send(`POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n`);
      await gated.answers(1);
      expect(gated.statuses).toEqual(['100']);
      gated.send(`abc${get('/a')}`);
      expect(await gated.answers(3)).toEqual(['100', '200', '200']);
      expect(gated.received).toContain(describeBody(Buffer.from('abc')));
    });

    test('may be left unread by an early answer', async () => {
      const seen: string[] = [];
      const { server } = ownServer((request, response) => {
        seen.push(request.url ?? '');
        response.end(`<${request.url ?? ''}>`);
      });
      const gated = await Gated.by(server);
      gated.send('POST /a/early HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n');
      await gated.answers(1);
      gated.send('x'.repeat(50_000));
      await until(() => gated.socket.bytesRead > 50_000);
      expect(seen).toEqual(['/a/early']);
      gated.send('GET /b HTTP/1.1\r\n'.padEnd(50_000, 'y') + get('/a/next'));
      expect(await gated.answers(2)).toEqual(['200', '200']);
      expect(seen).toEqual(['/a/early', '/a/next']);
    });
  });

  test('an Expect that the server answers by itself holds up nobody', async () => {
    const { server } = ownServer();
    const gated = await Gated.by(server);
    gated.send(get('/a', 'Expect: the-unexpected\r\n') + get('/a') + get('/said'));
    expect(await gated.answers(3)).toEqual(['417', '200', '200']);
  });

  test.each(['/a', '/b'])(
    'chunks that are none end the connection, and nobody gets what follows, %s',
    async (path) => {
      const { server, seen } = ownServer();
      const { elsewhere, table } = await otherBackend();
      const bad = [
        '5\nhello\r\n',
        '+5\r\nhello\r\n',
        '5\r\nhello!\r\n',
        '5 \r\nhello\r\n',
        '5\r\nhello\r\n0\r\nX: y\n\n',
      ];
      for (const chunks of bad) {
        for (const pieces of [1, 2]) {
          const gated = await Gated.by(server, { rules: rulesOf(table) });
          const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`;
          const rest = `${chunks}0\r\n\r\n${get('/a/next')}`;
          gated.send(pieces === 1 ? head + rest : head);
          if (pieces === 2) {
            await until(() => gated.socket.bytesRead === head.length);
            gated.send(rest);
          }
          await gated.gone;
          gated.client.end();
          await gated.end;
          if (path === '/a') expect(gated.statuses).toEqual(['400']);
          else expect(gated.statuses.every((status) => status !== '200')).toBe(true);
        }
      }
      expect([...seen, ...elsewhere].filter(({ url }) => url === '/a/next')).toEqual([]);
    },
  );

  describe('heads that no server gets to see', () => {
    test.each([
      ['malformed', '400', 'GET /a HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n'],
      [
        'ambiguous',
        '400',
        'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      ],
      ['of another version', '505', 'GET /a HTTP/2.0\r\nHost: a\r\n\r\n'],
      ['too long', '431', `GET /a HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`],
    ])('%s: %s, and the connection ends', async (_what, status, head) => {
      const { server, seen } = ownServer();
      const gated = await Gated.by(server);
      gated.send(get('/a') + head + get('/a'));
      expect(await gated.end).toBe('FIN');
      expect(gated.statuses).toEqual(['200', status]);
      gated.client.end();
      await gated.gone;
      expect(seen).toHaveLength(1);
    });

    test('in pieces for too long: the connection ends, where the gate reads with 408', async () => {
      const { server, seen } = ownServer();
      server.keepAliveTimeout = 30;
      const gated = await Gated.by(server, { headMs: 150 });
      gated.send(get('/a') + 'GET /a HTT');
      expect(await gated.end).toBe('FIN');
      expect(gated.statuses).toEqual(gateReads ? ['200', '408'] : ['200']);
      expect(seen).toHaveLength(1);
    });

    test('in pieces, and the same as the last one: it is no late one, and a shorter one may follow', async () => {
      const { server, seen } = ownServer();
      const gated = await Gated.by(server, { headMs: 100 });
      const head = get('/a', 'Cookie: one=two; three=four\r\n');
      gated.send(head);
      await until(() => seen.length === 1);
      for (let n = 2; n < 4; n++) {
        gated.send(head.slice(0, 40));
        await sleep(10);
        gated.send(head.slice(40));
        await until(() => seen.length === n);
      }
      gated.send(get('/a'));
      await until(() => seen.length === 4);
      await sleep(150);
      expect(gated.statuses).toEqual(['200', '200', '200', '200']);
    });

    test('of which the client sends no more: the connection ends with it', async () => {
      const { server, seen } = ownServer();
      const gated = await Gated.by(server);
      gated.client.end(`${get('/a')}GET /a HTT`);
      expect(await gated.end).toBe('FIN');
      // Node's server says what it thinks of that.
      expect(gated.statuses).toEqual(gateReads ? ['200'] : ['200', '400']);
      await gated.gone;
      expect(seen).toHaveLength(1);
    });

    test('behind a request that is not answered yet: the answer comes first', async () => {
      const pending: ServerResponse[] = [];
      const { server } = ownServer((_request, response) => pending.push(response));
      const gated = await Gated.by(server);
      gated.client.end(`${get('/a')}GET\t/a HTTP/1.1\r\n\r\n`);
      await until(() => pending.length === 1);
      await sleep(20);
      expect(gated.received).toBe('');
      pending[0]?.end('at last');
      expect(await gated.end).toBe('FIN');
      expect(gated.statuses).toEqual(['200', '400']);
      expect(gated.received).toContain('at last');
      await gated.gone;
    });
  });

  describe('connections', () => {
    test('with an application that passes on what it continues have one answer at a time', async () => {
      const seen: string[] = [];
      const server = createServer((request, response) => {
        seen.push(request.url ?? '');
        request.resume();
        setTimeout(() => response.end(request.url), request.url === '/a?2' ? 80 : 0);
      });
      server.on('checkContinue', (request, response) => {
        response.writeContinue();
        server.emit('request', request, response);
      });
      const gated = await Gated.by(server);
      const expecting = 'POST /a?1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx';
      gated.send(expecting + get('/a?2') + get('/nowhere') + get('/a?3'));
      await until(() => gated.statuses.length === 5);
      expect(gated.statuses).toEqual(['100', '200', '200', '404', '200']);
      expect(seen).toEqual(['/a?1', '/a?2', '/a?3']);
    });

    test('are closed by the server when they are idle', async () => {
      const { server } = ownServer();
      server.keepAliveTimeout = 50;
      for (const path of ['/a', '/said']) {
        const gated = await Gated.by(server);
        gated.send(get(path));
        expect(await gated.end).toBe('FIN');
        expect(gated.statuses).toEqual(['200']);
      }
    });

    test.each([
      ['HTTP/1.0', 'GET /a HTTP/1.0\r\nHost: a\r\n\r\n'],
      ['close', get('/a', 'Connection: close\r\n')],
      ['close, relayed', get('/b', 'Connection: close\r\n')],
      ['close, answered', get('/said', 'Connection: close\r\n')],
    ])('end behind %s', async (_what, head) => {
      const { server, seen } = ownServer();
      const { elsewhere, table } = await otherBackend();
      const gated = await Gated.by(server, { rules: rulesOf(table) });
      gated.send(head + get('/a/second'));
      expect(await gated.end).toBe('FIN');
      expect(gated.statuses).toEqual(['200']);
      expect([...seen, ...elsewhere].filter(({ url }) => url === '/a/second')).toEqual([]);
    });

    test('of HTTP/1.0 may be kept alive', async () => {
      const { server } = ownServer();
      const gated = await Gated.by(server);
      for (let k = 1; k <= 3; k++) {
        gated.send('GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
        await gated.answers(k);
      }
    });

    test('whose clients have closed their side get all their answers', async () => {
      const late: RequestListener = (request, response) =>
        void setTimeout(() => response.end(`<${request.url ?? ''}>`), 20);
      const { server } = ownServer(late);
      const { table } = await otherBackend(late);
      const gated = await Gated.by(server, { rules: rulesOf(table) });
      gated.client.end(get('/a/1') + get('/b/2') + get('/said') + get('/a/3') + get('/b/4'));
      expect(await gated.end).toBe('FIN');
      expect(bodies(gated.received)).toEqual(['</a/1>', '</b/2>', 'said so', '</a/3>', '</b/4>']);
      await gated.gone;
    });

    test.each(['/a', '/b'])(
      'that break off in the middle of a body end what serves them, %s',
      async (path) => {
        let aborted = 0;
        const waiting: RequestListener = (request) => {
          request.on('aborted', () => (aborted += 1)).on('error', () => undefined);
          request.resume();
        };
        const { server } = ownServer(waiting);
        const { table } = await otherBackend(waiting);
        for (const end of ['FIN', 'RST'] as const) {
          const gated = await Gated.by(server, { rules: rulesOf(table) });
          gated.send(`POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc`);
          const before = aborted;
          await sleep(30);
          if (end === 'RST') gated.client.resetAndDestroy();
          else gated.client.end();
          await until(() => aborted > before);
          await gated.gone;
        }
      },
    );

    test('hold no more than they may: the client waits', async () => {
      let finish: (() => void) | undefined;
      const { server } = ownServer((request, response) => {
        if (request.url !== '/a/slow') response.end(`<${request.url ?? ''}>`);
        else finish = () => response.end('<slow>');
      });
      const gated = await Gated.by(server);
      gated.send(get('/a/slow'));
      await until(() => finish !== undefined);
      const many = 20_000;
      gated.send(get('/a/n').repeat(many));
      await sleep(100);
      expect(gated.socket.bytesRead).toBeLessThan(200_000);
      finish?.();
      await until(() => gated.statuses.length === many + 1, 20_000);
    }, 30_000);
  });

  describe('upgrades', () => {
    const echo = (server: Server): void => {
      const sockets = new WebSocketServer({ server });
      sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
      cleanups.push(() => sockets.close());
    };

    /** A WebSocket client on a connection that has made requests before. */
    async function upgraded(gated: Gated, path: string): Promise<WebSocket> {
      gated.client.removeAllListeners('data');
      const socket = new WebSocket(`ws://a${path}`, {
        createConnection: () => gated.client,
        perMessageDeflate: false,
      });
      // Node's client waits for an event that is long past.
      process.nextTick(() => gated.client.emit('connect'));
      await once(socket, 'open');
      return socket;
    }

    test.each([
      ['here', '/a/ws'],
      ['relayed', '/b/ws'],
    ])('leave HTTP for good, %s', async (_where, path) => {
      const { server, seen } = ownServer();
      echo(server);
      const { other, elsewhere, table } = await otherBackend();
      echo(other);
      const gated = await Gated.by(server, { rules: rulesOf(table) });
      gated.send(get('/a') + get('/b'));
      await gated.answers(2);
      const counts = [seen.length, elsewhere.length];
      const socket = await upgraded(gated, path);
      const echoes: string[] = [];
      socket.on('message', (data: Buffer) => echoes.push(data.toString()));
      const said = ['GET /b HTTP/1.1\r\nHost: a\r\n\r\n', 'x'.repeat(200_000), 'end'];
      for (const each of said) socket.send(each);
      await until(() => echoes.length === said.length);
      expect(echoes).toEqual(said);
      expect([seen.length, elsewhere.length]).toEqual(counts);
      socket.close();
      await gated.gone;
    });

    test('that a server should not follow are ordinary requests, although it would', async () => {
      const upgrades: string[] = [];
      const { server, seen } = ownServer();
      server.on('upgrade', (request, socket: Socket) => {
        upgrades.push(request.url ?? '');
        socket.destroy();
      });
      const gated = await Gated.by(server);
      const asks = 'Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n';
      gated.send(get('/a/1', `${asks}Upgrade: h2c\r\n`));
      gated.send(post('/a/2', 'abc', 'Connection: Upgrade\r\nUpgrade: websocket\r\n') + get('/b'));
      gated.send('GET /a/3 HTTP/1.0\r\nConnection: Upgrade, keep-alive\r\nUpgrade: websocket\r\n\r\n');
      expect(await gated.answers(4)).toEqual(['200', '200', '503', '200']);
      expect(upgrades).toEqual([]);
      expect(seen.map(({ url }) => url)).toEqual(['/a/1', '/a/2', '/a/3']);
    });

    test('of a server that knows none are ordinary requests, and the next one is judged', async () => {
      const { server, seen } = ownServer();
      const gated = await Gated.by(server);
      gated.send(get('/a', 'Connection: Upgrade\r\nUpgrade: x\r\n') + get('/b') + get('/a'));
      expect(await gated.answers(3)).toEqual(['200', '503', '200']);
      expect(seen).toHaveLength(2);
    });

    test('that a server gives back to HTTP do not open the gate', async () => {
      const { server, seen } = ownServer();
      server.on('upgrade', (request, socket: Socket) => {
        socket.unshift(Buffer.from(`GET ${request.url ?? ''} HTTP/1.1\r\nHost: a\r\n\r\n`));
        server.emit('connection', socket);
      });
      const gated = await Gated.by(server);
      gated.send(get('/a', 'Connection: Upgrade\r\nUpgrade: x\r\n') + get('/b') + get('/a'));
      expect(await gated.answers(3)).toEqual(['200', '503', '200']);
      expect(seen).toHaveLength(2);
    });
  });

  describe('a snapshot', () => {
    const head = get('/a');
    const snapshot = (flags: number, received: string): Buffer => {
      const bytes = makeSnapshot({ queues: [received.length, 0, 0], flags });
      bytes.write(received, HEADER_BYTES, 'latin1');
      return bytes;
    };

    test('says whether requests are judged, and whether the first one has been', () => {
      const rules = rulesOf(TABLE);
      expect(inletOf(snapshot(0, head), 0, rules)).toBeUndefined();
      expect(inletOf(snapshot(PER_REQUEST, ''), 0, rules)).toMatchObject({ routed: false });
      expect(inletOf(snapshot(PER_REQUEST | ROUTED, head), 0, rules)).toMatchObject({ routed: true });
    });

    test.each([
      ['without rules', PER_REQUEST, head, undefined],
      ['routed, and without a head', PER_REQUEST | ROUTED, '', rulesOf(TABLE)],
      ['routed, with a part of one', PER_REQUEST | ROUTED, head.slice(0, -1), rulesOf(TABLE)],
      ['routed, with none', PER_REQUEST | ROUTED, `\0${head}`, rulesOf(TABLE)],
    ])('%s is malformed', (_what, flags, received, rules) => {
      expect(() => inletOf(snapshot(flags, received), 0, rules)).toThrow(/^snapshot: /);
    });
  });

  describe('the first head', () => {
    const edited = `GET /x HTTP/1.1\r\nHost: a\r\nX-Edit: yes\r\n\r\n`;

    test('is served as it is where the front has routed it, once', async () => {
      const { server, seen } = ownServer();
      const gated = await Gated.by(server, { routed: true });
      gated.send(edited + edited + get('/a'));
      expect(await gated.answers(3)).toEqual(['200', '404', '200']);
      expect(seen.map(({ url }) => url)).toEqual(['/x', '/a']);
    });

    test('may be longer than others, because the front has made it so', async () => {
      const { server } = ownServer();
      server.close();
      const wide = createServer({ maxHeaderSize: 200_000 }, (_request, response) => response.end('<wide>'));
      const head = `GET /x HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`;
      const gated = await Gated.by(wide, { routed: true });
      gated.send(head + get('/a') + head);
      expect(await gated.answers(3)).toEqual(['200', '200', '431']);
    });

    test('is judged where it has not', async () => {
      const { server, seen } = ownServer();
      const gated = await Gated.by(server);
      gated.send(edited + get('/e/x'));
      expect(await gated.answers(2)).toEqual(['404', '200']);
      expect(seen).toEqual([{ url: '/x', method: 'GET', edit: 'yes', body: EMPTY }]);
    });
  });

  test('what another process has read and nobody has seen is the beginning', async () => {
    const { server, seen } = ownServer();
    const whole = get('/a');
    for (const at of [1, whole.length - 1, whole.length]) {
      const before = await Gated.by(server, { held: '' });
      before.send(get('/a'));
      await before.answers(1);
      before.send(whole.slice(0, at));
      if (at < whole.length) await until(() => before.gate.busy);
      else await before.answers(2);
      const held = before.gate.takeOut();
      expect(held?.toString()).toBe(at < whole.length ? whole.slice(0, at) : '');
      expect(before.gate.served).toEqual({ pool: 'a', key: '' });
      const after = await Gated.by(server, { held: String(held) });
      after.send(at < whole.length ? whole.slice(at) : whole);
      expect(await after.answers(1)).toEqual(['200']);
    }
    expect(seen.every(({ url }) => url === '/a')).toBe(true);
  });

  test('who relays says whose request it is', async () => {
    const { server } = ownServer();
    let forwarded: unknown;
    const { table } = await otherBackend((request, response) => {
      forwarded = request.headers['x-forwarded-for'];
      response.end();
    });
    const gated = await Gated.by(server, { rules: rulesOf(table) });
    gated.send(get('/b', 'X-Forwarded-For: 192.0.2.1\r\n'));
    await gated.answers(1);
    expect(forwarded).toBe('192.0.2.1, 127.0.0.1');
  });

  test('another table judges from then on, also a head that has come before', async () => {
    const { server, seen } = ownServer();
    const fronts = new FrontRules();
    const rules = rulesOf(TABLE, fronts);
    const gated = await Gated.by(server, { rules });
    const head = get('/a');
    for (let k = 1; k <= 3; k++) {
      gated.send(head);
      await gated.answers(k);
    }
    const { port } = gated.socket.address() as AddressInfo;
    const later: RoutingTable = {
      ...TABLE,
      routes: [{ match: { path_prefix: ['/a'] }, deny: { status: 410 } }, { pool: 'a' }],
    };
    fronts.open('f1', Buffer.from(tableText(later)));
    gated.send(head);
    expect(await gated.answers(4)).toEqual(['200', '200', '200', '200']);
    rules.close();
    gated.send(head);
    expect((await gated.answers(5)).at(-1)).toBe('410');
    const kept: RoutingTable = {
      ...later,
      listeners: [{ name: 'web', address: '0.0.0.0', port, routing: 'per-connection' }],
    };
    fronts.open('f1', Buffer.from(tableText(kept)));
    gated.send(head + get('/b'));
    expect((await gated.answers(7)).slice(5)).toEqual(['200', '200']);
    expect(seen).toHaveLength(6);
  });

  describe('handing back', () => {
    interface Asked {
      readonly held: string;
      readonly pool: string;
      readonly outcomes: HandBackOutcomes;
      readonly unwritten: number;
    }

    async function asking(possible = true) {
      const { server, seen } = ownServer();
      const { elsewhere, table } = await otherBackend();
      const asked: Asked[] = [];
      const gated: Gated = await Gated.by(server, {
        rules: rulesOf(table),
        handBack: (held, pool, outcomes) => {
          asked.push({
            held: held.toString('latin1'),
            pool,
            outcomes,
            unwritten: gated.socket.writableLength,
          });
          return possible;
        },
      });
      return { gated, asked, seen, elsewhere };
    }

    test('is asked for with everything that was read, when nothing is under way', async () => {
      const { gated, asked, seen, elsewhere } = await asking();
      const rest = get('/b/1') + post('/a/2', 'abc') + 'GET /par';
      gated.send(get('/a') + rest);
      await until(() => asked.length === 1);
      expect(asked).toMatchObject([{ held: rest, pool: 'b', unwritten: 0 }]);
      expect(await gated.answers(1)).toEqual(['200']);
      // Nothing is read meanwhile.
      const { bytesRead } = gated.socket;
      gated.socket.resume();
      gated.send('tial HTTP/1.1\r\nHost: a\r\n\r\n');
      await sleep(50);
      expect(gated.socket.bytesRead).toBe(bytesRead);
      asked[0]?.outcomes.kept();
      expect(await gated.answers(4)).toEqual(['200', '200', '200', '404']);
      expect(seen.map(({ url }) => url)).toEqual(['/a', '/a/2']);
      expect(elsewhere.map(({ url }) => url)).toEqual(['/b/1']);
    });

    test('that is not possible costs a detour, and the next one is tried anew', async () => {
      const { gated, asked, elsewhere } = await asking(false);
      gated.send(get('/b/1') + get('/b/2'));
      expect(await gated.answers(2)).toEqual(['200', '200']);
      expect(asked.map(({ held }) => held)).toEqual([get('/b/1') + get('/b/2'), get('/b/2')]);
      expect(elsewhere).toHaveLength(2);
    });

    test('to nobody else: the request is served here', async () => {
      const { gated, asked, seen } = await asking();
      gated.send(get('/b/1') + get('/a'));
      await until(() => asked.length === 1);
      asked[0]?.outcomes.kept(true);
      expect(await gated.answers(2)).toEqual(['200', '200']);
      expect(seen.map(({ url }) => url)).toEqual(['/b/1', '/a']);
    });

    test('moves: whoever has it destroys the socket', async () => {
      const { gated, asked, seen } = await asking();
      gated.send(get('/b'));
      await until(() => asked.length === 1);
      asked[0]?.outcomes.moved();
      gated.socket.destroy();
      await gated.gone;
      expect(seen).toEqual([]);
    });

    test('waits until the answer before has left', async () => {
      const body = Buffer.alloc(LARGE);
      const { server } = ownServer((_request, response) => void response.end(body));
      let asked = 0;
      const gated: Gated = await Gated.by(server, {
        handBack: () => {
          asked += 1;
          expect(gated.socket.writableLength).toBe(0);
          return false;
        },
      });
      gated.client.pause();
      gated.send(get('/a') + get('/b'));
      await sleep(50);
      expect(asked).toBe(0);
      gated.client.resume();
      await until(() => gated.received.endsWith('503 Service Unavailable\n'), 10_000);
      expect(asked).toBe(1);
    }, 20_000);

    test('is not asked for answers, nor where the listener forwards', async () => {
      const { server } = ownServer();
      const { table } = await otherBackend();
      let asked = 0;
      const handBack = (): boolean => {
        asked += 1;
        return true;
      };
      const closing = await Gated.by(server, { rules: rulesOf(table), handBack });
      closing.client.end(get('/a') + get('/said') + get('/no'));
      expect(await closing.end).toBe('FIN');
      expect(closing.statuses).toEqual(['200', '200', '403']);
      const fronts = new FrontRules();
      const rules = rulesOf(table, fronts);
      const forwarded = await Gated.by(server, { rules, handBack });
      const { port } = forwarded.socket.address() as AddressInfo;
      const listeners = [{ name: 'web', address: '127.0.0.1', port, routing: 'forward' as const }];
      rules.close();
      fronts.open('f1', Buffer.from(tableText({ ...table, listeners })));
      forwarded.send(get('/b') + get('/a') + get('/b'));
      expect(await forwarded.answers(3)).toEqual(['200', '200', '200']);
      expect(asked).toBe(0);
    });

    test('the socket is taken out between messages alone, and put back', async () => {
      const { gated, seen } = await asking();
      gated.send(get('/a'));
      await gated.answers(1);
      expect(gated.gate.takeOut()?.length).toBe(0);
      expect(gated.gate.takeOut()).toBeUndefined();
      gated.send(get('/a/2'));
      await sleep(30);
      expect(gated.statuses).toHaveLength(1);
      gated.gate.putBack();
      expect(await gated.answers(2)).toEqual(['200', '200']);
      gated.send(post('/a', 'abc').slice(0, -1));
      await until(() => seen.length === 3);
      expect(gated.gate.takeOut()).toBeUndefined();
      gated.send('c');
      await gated.answers(3);
    });

    test('the socket is not taken out with a part of a head that the server has read', async () => {
      const { gated } = await asking();
      gated.send(get('/a') + 'GET /a/part');
      await gated.answers(1);
      const taken = gated.gate.takeOut();
      expect(taken?.toString()).toBe(gateReads ? 'GET /a/part' : undefined);
      gated.gate.putBack();
      gated.send(' HTTP/1.1\r\nHost: a\r\n\r\n');
      expect(await gated.answers(2)).toEqual(['200', '200']);
    });
  });

  describe('generated streams', () => {
    interface Message {
      readonly path: string;
      readonly body: string | undefined;
      readonly chunks: boolean;
      readonly fields: string;
    }
    const message: fc.Arbitrary<Message> = fc.record({
      path: fc.constantFrom(
        '/a',
        '/a/1?x=1',
        '/b',
        '/b/2',
        '/e/x',
        '/e',
        '/said',
        '/no',
        '/none',
        '/ab',
        '/%61/x',
        '/b/../a',
      ),
      body: fc.option(fc.string({ unit: 'binary-ascii', maxLength: 60 }), { nil: undefined }),
      chunks: fc.boolean(),
      fields: fc.constantFrom(
        '',
        'X-Gone: 1\r\n',
        'Connection: keep-alive, X-Edit\r\nX-Edit: forged\r\n',
        'Cookie: a=1\r\n',
      ),
    });
    const isAnswered = (path: string): boolean => /^\/(said|no|none|ab)$/.test(path);
    const octets = ({ path, body, chunks, fields }: Message): string => {
      // Who answers by itself closes where the body has not come.
      if (body === undefined || isAnswered(path)) return get(path, fields);
      if (!chunks) return post(path, body, fields);
      const pieces = body === '' ? '' : `${body.length.toString(16)}\r\n${body}\r\n`;
      return `POST ${path} HTTP/1.1\r\nHost: a\r\n${fields}Transfer-Encoding: chunked\r\n\r\n${pieces}0\r\n\r\n`;
    };
    /** What a plain reading of the routes says: whose it is, and what the answer is. */
    const model = ({ path, body = '' }: Message): { at: 'own' | 'other' | 'nobody'; says: string } => {
      const plain = path.replace(/\?.*/, '').replace('/%61', '/a').replace('/b/..', '');
      const about = describeBody(Buffer.from(body, 'latin1'));
      const under = (prefix: string): boolean => plain === prefix || plain.startsWith(`${prefix}/`);
      if (under('/a')) return { at: 'own', says: `<own ${path} ${about}>` };
      if (under('/e')) return { at: 'own', says: `<own ${plain.slice(2) || '/'} ${about}>` };
      if (plain === '/said') return { at: 'nobody', says: 'said so' };
      if (plain === '/no') return { at: 'nobody', says: 'Forbidden' };
      return under('/b')
        ? { at: 'other', says: `<other ${path} ${about}>` }
        : { at: 'nobody', says: '404 Not Found' };
    };

    test('reach the servers that the routes say, whole and in order', async () => {
      const { server, seen } = ownServer();
      const { elsewhere, table } = await otherBackend();
      const rules = rulesOf(table);
      await fc.assert(
        fc.asyncProperty(
          fc.array(message, { minLength: 1, maxLength: 12 }),
          fc.array(fc.nat(400), { maxLength: 6 }),
          async (messages, cuts) => {
            seen.length = elsewhere.length = 0;
            const stream = messages.map(octets).join('');
            const gated = await Gated.by(server, { rules });
            let at = 0;
            for (const cut of [...cuts, stream.length]) {
              gated.client.write(stream.slice(at, at + cut), 'latin1');
              at += cut;
              await new Promise(setImmediate);
            }
            const expected = messages.map(model);
            const answers = (): string[] =>
              [...gated.received.matchAll(/<[^>]*>|said so|Forbidden\n|404 Not Found\n/g)].map(([all]) =>
                all.trim(),
              );
            await until(() => answers().length >= messages.length);
            expect(answers()).toEqual(expected.map(({ says }) => says));
            expect(seen).toHaveLength(expected.filter(({ at: where }) => where === 'own').length);
            expect(elsewhere).toHaveLength(expected.filter(({ at: where }) => where === 'other').length);
            for (const { url, edit } of seen)
              expect([url, edit === 'yes']).toEqual([url, !/^\/(a|%61|b)/.test(url)]);
            gated.client.destroy();
          },
        ),
        { numRuns: 150 },
      );
    }, 60_000);
  });
});

describe('from the server to the gate:', () => {
  beforeEach(() => readByGate(false));

  const closing = 'Connection: close\r\n';

  test('all answers before come first, and the request is whole', async () => {
    const pending: ServerResponse[] = [];
    const { server } = ownServer((_request, response) => pending.push(response));
    const asked: string[] = [];
    const gated = await Gated.by(server, {
      handBack: (held) => {
        asked.push(held.toString('latin1'));
        return true;
      },
    });
    const [whole, rest] = [post('/b', 'body', 'X-Y: \xe9 z\r\n'), 'GET /a/3 HTTP'];
    gated.send(get('/a/1') + post('/a/2', 'body') + whole + rest);
    await until(() => pending.length === 2);
    pending[1]?.end('second');
    pending[0]?.end('first');
    expect(await gated.answers(2)).toEqual(['200', '200']);
    await until(() => asked.length === 1);
    expect(asked).toEqual([whole + rest]);
    expect(gated.received).toMatch(/first[^]*second/);
    expect(pending).toHaveLength(2);
  });

  test('a head that comes in pieces is whole', async () => {
    const { server } = ownServer();
    const asked: string[] = [];
    const gated = await Gated.by(server, { handBack: (held) => asked.push(held.toString('latin1')) > 0 });
    const head = get('/b', 'X-One: 1\r\nX-Two: 2\r\n');
    for (const octet of get('/a') + head) {
      gated.send(octet);
      await new Promise(setImmediate);
    }
    await until(() => asked.length === 1);
    expect(asked).toEqual([head]);
  });

  test.each(['/a', '/b', '/e'])('of a request that closes, for %s, nothing is lost', async (path) => {
    const { server } = ownServer();
    const { table } = await otherBackend();
    const gated = await Gated.by(server, { rules: rulesOf(table) });
    gated.send(get('/a') + post(path, 'abc', closing) + 'whatever comes behind it');
    expect(await gated.end).toBe('FIN');
    expect(gated.statuses).toEqual(['200', '200']);
    expect(bodies(gated.received)[1]).toContain(describeBody(Buffer.from('abc')));
    gated.client.end();
    await gated.gone;
  });

  test('a request that closes is served here where nobody else takes the connection', async () => {
    const { server, seen } = ownServer();
    const gated = await Gated.by(server, {
      handBack: (_held, _pool, outcomes) => {
        setImmediate(() => outcomes.kept(true));
        return true;
      },
    });
    gated.send(get('/a') + get('/b', closing));
    expect(await gated.end).toBe('FIN');
    expect(gated.statuses).toEqual(['200', '200']);
    expect(seen.map(({ url }) => url)).toEqual(['/a', '/b']);
  });

  test('the server ends what takes too long, and nothing else', async () => {
    const { server } = ownServer(undefined, { connectionsCheckingInterval: 20 });
    Object.assign(server, { headersTimeout: 60, requestTimeout: 80 });
    const { other, table } = await otherBackend(
      (_request, response) => void setTimeout(() => response.end(), 400),
    );
    expect(other.listening).toBe(true);
    const gated = await Gated.by(server, { rules: rulesOf(table) });
    // Relayed, for longer than a request may take to come.
    gated.send(get('/a') + get('/b', closing));
    expect(await gated.answers(2)).toEqual(['200', '200']);
    const slow = await Gated.by(server, { rules: rulesOf(table) });
    slow.send(get('/a') + 'GET /a');
    expect(await slow.end).toBe('FIN');
    expect(slow.statuses).toEqual(['200', '408']);
  });

  test('a server that keeps few fields of a head does not read by itself', async () => {
    const { server, seen } = ownServer();
    server.maxHeadersCount = 40;
    const { elsewhere, table } = await otherBackend();
    const gated = await Gated.by(server, { rules: rulesOf(table) });
    const many = Array.from({ length: 60 }, (_, n) => `X-${n}: y\r\n`).join('');
    gated.send(get('/a', many) + post('/b', 'abc', many));
    expect(await gated.answers(2)).toEqual(['200', '200']);
    expect([seen.length, elsewhere[0]?.body]).toEqual([1, describeBody(Buffer.from('abc'))]);
  });

  test('the same head again is judged anew where an application has changed what it was given', async () => {
    const { server, seen } = ownServer((request, response) => {
      seen.push({ url: request.headers.host ?? '', method: '', edit: '', body: '' });
      request.rawHeaders[1] = 'internal';
      response.end('own');
    });
    const routes: RouteConfig[] = [
      { match: { host: ['internal'] }, deny: { status: 403 } },
      { match: { host: ['a'] }, pool: 'a' },
    ];
    const gated = await Gated.by(server, { rules: rulesOf({ ...TABLE, routes }) });
    for (let k = 1; k <= 3; k++) {
      gated.send(get('/a'));
      await gated.answers(k);
    }
    gated.send('GET /a HTTP/1.1\r\nHost: internal\r\n\r\n');
    expect((await gated.answers(4)).at(-1)).toBe('403');
    expect(seen.map(({ url }) => url)).toEqual(['a', 'a', 'a']);
  });

  test.each(['0.9', '1.2', '2.0'])('the same head again in HTTP/%s is another', async (version) => {
    const { server, seen } = ownServer();
    const gated = await Gated.by(server);
    const head = get('/a', 'Connection: keep-alive\r\n');
    for (let k = 1; k <= 3; k++) {
      gated.send(head);
      await gated.answers(k);
    }
    gated.send(head.replace('1.1', version));
    expect((await gated.answers(4)).at(-1)).toBe('505');
    expect(seen).toHaveLength(3);
  });

  test('the same head again behind another is judged by what that was led here by', async () => {
    const { server, seen } = ownServer();
    const others = ['b1', 'b2'].map((name) => ({ name, weight: 1 }));
    const pools: RoutingTable['pools'] = [
      { name: 'a', here: true, fallback: 'proxy', hash: 'header:X-Key', backends: others },
    ];
    const table = { ...TABLE, pools, routes: [{ pool: 'a' }] };
    // One of these is not this backend's, and only the first message has been led here all the same.
    const balancer = createBalancer(
      'maglev',
      others.map((each) => ({ ...each, available: true, load: 0 })),
    );
    const keyOf = (name: string): string =>
      Array.from({ length: 100 }, (_, k) => `k${k}`).find((key) => balancer.pick(key, [])?.name === name) ??
      '';
    const [strange, own] = ['b2', 'b1'].map((name) => get(`/${name}`, `X-Key: ${keyOf(name)}\r\n`));
    const gated = await Gated.by(server, { rules: rulesOf(table), routed: true });
    for (const [k, head] of [strange, strange, strange, own].entries()) {
      gated.send(head ?? '');
      await gated.answers(k + 1);
    }
    expect(gated.statuses).toEqual(['200', '200', '200', '200']);
    gated.send(strange ?? '');
    expect((await gated.answers(5)).at(-1)).toBe('503');
    expect(seen).toHaveLength(4);
  });

  test('a connection that is idle behind a detour is closed with those that are', async () => {
    const { server } = ownServer();
    const gated = await Gated.by(server);
    gated.send(get('/a') + get('/said'));
    await gated.answers(2);
    server.closeIdleConnections();
    expect(await gated.end).toBe('FIN');
  });

  test('those that a request can be relayed to get their turn', async () => {
    const { server } = ownServer();
    const [one, two] = [await otherBackend(), await otherBackend()];
    const backends = [one, two].flatMap(({ table }, k) =>
      table.pools.flatMap((pool) =>
        pool.name === 'b' ? pool.backends.map((each) => ({ ...each, name: `b${k + 2}` })) : [],
      ),
    );
    const pools = TABLE.pools.map((pool) => (pool.name === 'b' ? { ...pool, backends } : pool));
    const fronts = new FrontRules();
    const rules = rulesOf(TABLE, fronts);
    const all: Gated[] = [];
    for (let k = 0; k < 4; k++) all.push(await Gated.by(server, { rules }));
    const listeners = all.map(({ socket }, k) => ({
      name: `web${k}`,
      address: '0.0.0.0',
      port: (socket.address() as AddressInfo).port,
      routing: 'forward' as const,
    }));
    rules.close();
    fronts.open('f1', Buffer.from(tableText({ ...TABLE, pools, listeners })));
    for (const [k, gated] of all.entries()) {
      gated.send(get('/a') + get('/b'));
      expect(await gated.answers(2)).toEqual(['200', '200']);
      expect(Math.abs(one.elsewhere.length - two.elsewhere.length)).toBe((k + 1) % 2);
    }
  });

  test('a head that the rules make longer than the server takes is refused', async () => {
    const { server, seen } = ownServer();
    const routes: RouteConfig[] = [
      {
        match: { path_prefix: ['/e'] },
        pool: 'a',
        edits: { set: [['X-Edit', 'y'.repeat(600)]], remove: [] },
      },
      { pool: 'a' },
    ];
    const gated = await Gated.by(server, { rules: rulesOf({ ...TABLE, routes }) });
    gated.send(get('/a') + get('/e', `X: ${'x'.repeat(15_900)}\r\n`));
    expect(await gated.answers(2)).toEqual(['200', '431']);
    await gated.gone;
    expect(seen).toHaveLength(1);
  });

  test.each([
    ['does not end what takes too long', {}, { headersTimeout: 0, requestTimeout: 0 }],
    ['takes what is no HTTP', { insecureHTTPParser: true }, {}],
  ])('a server that %s does not read by itself', async (_what, options, values) => {
    const { server } = ownServer(undefined, options);
    Object.assign(server, values);
    const gated = await Gated.by(server);
    gated.send(`${get('/a')}GET /a`);
    await gated.answers(1);
    await until(() => gated.gate.busy);
  });

  test('nor does one that has never listened', async () => {
    const server = createServer((_request, response) => response.end());
    const gated = await Gated.by(server, { headMs: 50 });
    gated.send('GET /a');
    expect(await gated.end).toBe('FIN');
    expect(gated.statuses).toEqual(['408']);
  });

  test('where an application reads the socket from the beginning, nothing is lost', async () => {
    const { server } = ownServer();
    for (const request of [get('/a', closing), get('/said'), post('/a', 'abc')]) {
      const gated = await Gated.by(server);
      gated.socket.on('data', () => undefined);
      gated.send(request);
      expect(await gated.answers(1)).toEqual(['200']);
    }
  });

  test('where an application reads the socket itself, the gate reads from the next request on', async () => {
    const { server, seen } = ownServer((request, response) => {
      const entry = { url: request.url ?? '', method: '', edit: '', body: '' };
      seen.push(entry);
      request.socket.on('data', () => undefined);
      request.on('data', (octets: Buffer) => (entry.body += octets.toString('latin1')));
      request.on('end', () => response.end('own'));
    });
    const { elsewhere, table } = await otherBackend();
    const gated = await Gated.by(server, { rules: rulesOf(table) });
    const request = post('/a/1', 'abcdef');
    gated.send(request.slice(0, -3));
    await until(() => seen[0]?.body === 'abc');
    gated.send(request.slice(-3));
    await gated.answers(1);
    gated.send(get('/b') + get('/a/2'));
    expect(await gated.answers(3)).toEqual(['200', '200', '200']);
    expect(seen.map(({ url, body }) => url + body)).toEqual(['/a/1abcdef', '/a/2']);
    expect(elsewhere.map(({ url }) => url)).toEqual(['/b']);
  });

  test('where it does, what belongs elsewhere and has come with the last request ends the connection', async () => {
    const { server, seen } = ownServer((request, response) => {
      seen.push({ url: request.url ?? '', method: '', edit: '', body: '' });
      request.socket.on('data', () => undefined);
      request.resume().on('end', () => response.end('own'));
    });
    const gated = await Gated.by(server);
    const request = post('/a', 'abcdef');
    gated.send(request.slice(0, -3));
    await until(() => seen.length === 1);
    gated.send(request.slice(-3) + get('/b'));
    await gated.gone;
    expect(seen.map(({ url }) => url)).toEqual(['/a']);
  });
});
