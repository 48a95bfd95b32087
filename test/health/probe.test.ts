import type { IncomingMessage, RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import type { Endpoint, HealthTls } from '../../src/config/model';
import { Probe, type ProbeResult, type Question } from '../../src/health/probe';
import { Certificates } from '../wire/certificates';
import {
  allClosed,
  deafEndpoint,
  httpServer,
  httpsServer,
  refusingEndpoint,
  tcpServer,
  type TestServer,
} from './servers';

/** Far more than a loopback check takes, so that only a check that hangs meets it. */
const PATIENT_MS = 5000;
const never = new AbortController().signal;
const QUESTION: Question = {
  path: '/healthz',
  timeout: PATIENT_MS,
  expect: [{ first: 200, last: 399 }],
  headers: {},
};

function probe(target: Endpoint, question: Partial<Question> = {}, signal = never): Promise<ProbeResult> {
  return new Probe(target, { ...QUESTION, ...question }).run(signal);
}

let server: TestServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function probeHttp(listener: RequestListener, timeout = PATIENT_MS) {
  server = await httpServer(listener);
  return probe(server.endpoint, { timeout });
}

async function probeTcp(onConnection: (socket: Socket) => void, timeout = PATIENT_MS) {
  server = await tcpServer(onConnection);
  return probe(server.endpoint, { timeout });
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
      expect(await probe(endpoint, { path: '/h?deep=1' })).toEqual({
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

  test.each([
    [200, true],
    [204, true],
    [205, false],
    [301, false],
    [503, true],
  ])('with 200-204 and 503 expected, %d is a success: %p', async (status, ok) => {
    server = await httpServer((_request, response) => response.writeHead(status).end());
    const expect_ = [
      { first: 200, last: 204 },
      { first: 503, last: 503 },
    ];
    expect(await probe(server.endpoint, { expect: expect_ })).toEqual({
      ok,
      cause: `GET /healthz: ${status}`,
    });
  });

  test('header fields are sent, a host in place of the address', async () => {
    const requests: IncomingMessage[] = [];
    server = await httpServer((request, response) => {
      requests.push(request);
      response.end();
    });
    const headers = { host: 'app.example', authorization: 'Bearer x', 'user-agent': 'me' };
    expect((await probe(server.endpoint, { headers })).ok).toBe(true);
    expect(requests[0]?.headers).toEqual({ ...headers, connection: 'close' });
  });

  test('another port than that of the address', async () => {
    server = await httpServer((request, response) => response.end(request.headers.host));
    const elsewhere = await refusingEndpoint();
    expect(await probe(elsewhere, { port: server.endpoint.port })).toMatchObject({ ok: true });
    expect(server.accepted()).toBe(1);
  });

  test('each check has a connection of its own', async () => {
    server = await httpServer((_request, response) => response.end('ok'));
    for (let i = 0; i < 3; i++) await probe(server.endpoint);
    expect(server.accepted()).toBe(3);
  });

  test('a refused connection names the address', async () => {
    const target = await refusingEndpoint();
    const result = await probe(target);
    expect(result).toEqual({ ok: false, cause: `connect ECONNREFUSED 127.0.0.1:${target.port}` });
  });

  test('a host that drops SYNs meets the timeout, and the attempt ends with it', async () => {
    const attempts = () => process.getActiveResourcesInfo().filter((what) => what === 'ConnectWrap').length;
    const deaf = await deafEndpoint();
    try {
      const checking = probe(deaf.endpoint, { timeout: 50 });
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
    expect(await probe(server.endpoint, {}, stopping.signal)).toEqual({
      ok: false,
      cause: 'check stopped',
    });
    await allClosed(server);
  });

  test('a check that is over leaves no timer behind', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((what) => what === 'Timeout').length;
    server = await httpServer((_request, response) => response.end('ok'));
    const before = timers();
    for (let i = 0; i < 3; i++) await probe(server.endpoint, { timeout: 3_600_000 });
    // The HTTP server has timers too, for as long as a connection lives.
    await allClosed(server);
    expect(timers()).toBeLessThanOrEqual(before);
  });

  test('an abort beforehand makes no connection', async () => {
    server = await httpServer((_request, response) => response.end());
    const result = await probe(server.endpoint, {}, AbortSignal.abort());
    expect(result).toEqual({ ok: false, cause: 'check stopped' });
    expect(server.accepted()).toBe(0);
  });
});

describe('a probe by https', () => {
  const certificates = new Certificates();
  certificates.make('ca', { isAuthority: true });
  certificates.make('other-ca', { isAuthority: true });
  certificates.make('app', { names: ['app.example'], by: 'ca' });
  certificates.make('host', { addresses: ['127.0.0.1'], by: 'ca' });
  const ca = certificates.text('ca.pem');
  const asked: (string | undefined)[] = [];

  beforeEach(() => (asked.length = 0));
  afterAll(() => certificates.remove());

  async function probeTls(certificate: string, tls: Omit<HealthTls, 'insecure'> & { insecure?: true }) {
    const { cert, key } = certificates.credentials(certificate);
    server = await httpsServer({ cert, key }, (request, response) => {
      asked.push((request.socket as Socket & { servername?: string }).servername || undefined);
      response.end('ok');
    });
    return probe(server.endpoint, { tls: { insecure: false, ...tls } });
  }

  test.each<[string, string, Parameters<typeof probeTls>[1], string | undefined]>([
    ['its address in the certificate', 'host', { ca }, undefined],
    ['its name in the certificate', 'app', { ca, server_name: 'app.example' }, 'app.example'],
    ['any certificate', 'app', { insecure: true }, undefined],
    ['any certificate, by name', 'host', { insecure: true, server_name: 'x.example' }, 'x.example'],
  ])('is content with %s', async (_what, certificate, tls, name) => {
    expect(await probeTls(certificate, tls)).toEqual({ ok: true, cause: 'GET /healthz: 200' });
    expect(asked).toEqual([name]);
    if (server !== undefined) await allClosed(server);
  });

  test.each<[string, string, Parameters<typeof probeTls>[1], RegExp]>([
    ['an authority that nobody knows', 'host', {}, /^TLS: unable to (verify|get)/],
    ['another authority', 'host', { ca: certificates.text('other-ca.pem') }, /^TLS: unable to/],
    ['another name', 'app', { ca, server_name: 'web.example' }, /^TLS: Hostname\/IP does not match/],
    ['a name in place of the address', 'app', { ca }, /^TLS: Hostname\/IP does not match/],
  ])('refuses %s, and asks nothing', async (_what, certificate, tls, cause) => {
    const result = await probeTls(certificate, tls);
    expect(result.ok).toBe(false);
    expect(result.cause).toMatch(cause);
    expect(asked).toEqual([]);
    if (server !== undefined) await allClosed(server);
  });

  test('a server that speaks no TLS fails the handshake', async () => {
    server = await httpServer((_request, response) => response.end());
    const { ok, cause } = await probe(server.endpoint, { tls: { ca, insecure: false } });
    expect(ok).toBe(false);
    expect(cause).toMatch(/^TLS: \S/);
  });

  test('a server that does not shake hands meets the timeout, and its connection is closed', async () => {
    server = await tcpServer((socket) => socket.resume());
    const question = { timeout: 50, tls: { ca, insecure: false } };
    expect(await probe(server.endpoint, question)).toEqual({ ok: false, cause: 'timeout after 50 ms' });
    await allClosed(server);
  });

  test('a host that drops SYNs meets the timeout, and the attempt ends with it', async () => {
    const attempts = () => process.getActiveResourcesInfo().filter((what) => what === 'ConnectWrap').length;
    const deaf = await deafEndpoint();
    try {
      const question = { timeout: 50, tls: { ca, insecure: false } };
      expect(await probe(deaf.endpoint, question)).toEqual({ ok: false, cause: 'timeout after 50 ms' });
      for (let turn = 0; turn < 100 && attempts() > 0; turn++) await new Promise(setImmediate);
      expect(attempts()).toBe(0);
    } finally {
      await deaf.close();
    }
  });

  test('a refused connection is no failure of TLS', async () => {
    const target = await refusingEndpoint();
    const result = await probe(target, { tls: { ca, insecure: false } });
    expect(result).toEqual({ ok: false, cause: `connect ECONNREFUSED 127.0.0.1:${target.port}` });
  });
});
