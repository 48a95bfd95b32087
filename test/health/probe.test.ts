import type { IncomingMessage, RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { probe } from '../../src/health/probe';
import { allClosed, deafEndpoint, httpServer, refusingEndpoint, tcpServer, type TestServer } from './servers';

/** Far more than a loopback check takes, so that only a check that hangs meets it. */
const PATIENT_MS = 5000;
const never = new AbortController().signal;

let server: TestServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function probeHttp(listener: RequestListener, timeout = PATIENT_MS) {
  server = await httpServer(listener);
  return probe(server.endpoint, '/healthz', timeout, never);
}

async function probeTcp(onConnection: (socket: Socket) => void, timeout = PATIENT_MS) {
  server = await tcpServer(onConnection);
  return probe(server.endpoint, '/healthz', timeout, never);
}

describe('probe', () => {
  test.each([200, 204, 302, 399])('%d is a success', async (status) => {
    const result = await probeHttp((_request, response) =>
      response.writeHead(status, { location: '/x' }).end(),
    );
    expect(result).toEqual({ ok: true, cause: `GET /healthz: ${status}` });
    expect(server?.accepted()).toBe(1);
  });

  test.each([400, 404, 500, 503])('%d is a failure', async (status) => {
    const result = await probeHttp((_request, response) => response.writeHead(status).end('no'));
    expect(result).toEqual({ ok: false, cause: `GET /healthz: ${status}` });
  });

  test.each(['127.0.0.1', '::1'])(
    'asks %s for the path with the right fields, without keep-alive',
    async (host) => {
      const requests: IncomingMessage[] = [];
      server = await httpServer((request, response) => {
        requests.push(request);
        response.end('ok');
      }, host);
      const { endpoint } = server;
      expect(await probe(endpoint, '/h?deep=1', PATIENT_MS, never)).toEqual({
        ok: true,
        cause: 'GET /h?deep=1: 200',
      });
      await allClosed(server);
      expect(requests.map(({ method, url }) => `${method ?? ''} ${url ?? ''}`)).toEqual(['GET /h?deep=1']);
      expect(requests[0]?.headers).toMatchObject({
        host: endpoint.family === 6 ? `[::1]:${endpoint.port}` : `127.0.0.1:${endpoint.port}`,
        'user-agent': 'baton-health',
        connection: 'close',
      });
    },
  );

  test('each check has a connection of its own', async () => {
    server = await httpServer((_request, response) => response.end('ok'));
    for (let i = 0; i < 3; i++) await probe(server.endpoint, '/healthz', PATIENT_MS, never);
    expect(server.accepted()).toBe(3);
  });

  test('a refused connection names the address', async () => {
    const target = await refusingEndpoint();
    const result = await probe(target, '/healthz', PATIENT_MS, never);
    expect(result).toEqual({ ok: false, cause: `connect ECONNREFUSED 127.0.0.1:${target.port}` });
  });

  test('a host that drops SYNs meets the timeout, and the attempt ends with it', async () => {
    const attempts = () => process.getActiveResourcesInfo().filter((what) => what === 'ConnectWrap').length;
    const deaf = await deafEndpoint();
    try {
      const checking = probe(deaf.endpoint, '/healthz', 50, never);
      await new Promise(setImmediate);
      expect(attempts()).toBe(1);
      expect(await checking).toEqual({ ok: false, cause: 'timeout after 50 ms' });
      // Closing takes a few turns of the event loop; the kernel alone would go on trying for two minutes.
      for (let turn = 0; turn < 100 && attempts() > 0; turn++) await new Promise(setImmediate);
      expect(attempts()).toBe(0);
    } finally {
      await deaf.close();
    }
  });

  test.each<[string, RequestListener]>([
    ['does not answer', () => undefined],
    ['stalls in its head', (_request, response) => response.socket?.write('HTTP/1.1 200 OK\r\nx: ')],
    [
      'stalls in its body',
      (_request, response) => response.writeHead(200, { 'content-length': 9 }).write('half'),
    ],
  ])('a server that %s meets the timeout, and its connection is closed', async (_what, listener) => {
    expect(await probeHttp(listener, 50)).toEqual({ ok: false, cause: 'timeout after 50 ms' });
    if (server !== undefined) await allClosed(server);
  });

  test('a body that trickles meets the timeout of the whole check', async () => {
    const result = await probeHttp((_request, response) => {
      const timer = setInterval(() => response.write('x'), 5);
      response.on('close', () => clearInterval(timer));
    }, 60);
    expect(result).toEqual({ ok: false, cause: 'timeout after 60 ms' });
  });

  test('an endless body is cut at its bound and counts by its status', async () => {
    let written = 0;
    const result = await probeHttp((_request, response) => {
      const pour = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(16 * 1024))) written += 16 * 1024;
      };
      response.on('drain', pour);
      pour();
    });
    expect(result).toEqual({ ok: true, cause: 'GET /healthz: 200' });
    if (server !== undefined) await allClosed(server);
    // The bound plus what fits into the socket buffers of both sides.
    expect(written).toBeLessThan(16 * 1024 * 1024);
  });

  test('a connection closed without an answer is a failure', async () => {
    const { ok, cause } = await probeTcp((socket) => socket.end());
    expect(ok).toBe(false);
    expect(cause).toMatch(/^GET \/healthz: \S/);
  });

  test('a response that breaks off is a failure', async () => {
    const { ok, cause } = await probeTcp((socket) =>
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'),
    );
    expect(ok).toBe(false);
    expect(cause).toMatch(/^GET \/healthz: \S/);
  });

  test.each([
    ['something else than HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['an endless head', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(64 * 1024)}`],
  ])('%s is a failure with one short line', async (_what, bytes) => {
    const { ok, cause } = await probeTcp((socket) => socket.write(bytes));
    expect(ok).toBe(false);
    expect(cause).toMatch(/^GET \/healthz: [^\n]{1,150}$/);
  });

  test('an abort ends a check under way and closes its connection', async () => {
    const stopping = new AbortController();
    server = await httpServer(() => stopping.abort());
    expect(await probe(server.endpoint, '/healthz', PATIENT_MS, stopping.signal)).toEqual({
      ok: false,
      cause: 'check stopped',
    });
    await allClosed(server);
  });

  test('a check that is over leaves no timer behind', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((what) => what === 'Timeout').length;
    server = await httpServer((_request, response) => response.end('ok'));
    const before = timers();
    for (let i = 0; i < 3; i++) await probe(server.endpoint, '/healthz', 3_600_000, never);
    // The HTTP server has timers too, for as long as a connection lives.
    await allClosed(server);
    expect(timers()).toBeLessThanOrEqual(before);
  });

  test('an abort beforehand makes no connection', async () => {
    server = await httpServer((_request, response) => response.end());
    const result = await probe(server.endpoint, '/healthz', PATIENT_MS, AbortSignal.abort());
    expect(result).toEqual({ ok: false, cause: 'check stopped' });
    expect(server.accepted()).toBe(0);
  });
});
