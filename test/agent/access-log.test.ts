import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { AccessLog, type AccessSink } from '../../src/agent/access-log';
import type { AccessLine } from '../../src/agent/access-line';
import { listenBesideOthers } from '../../src/agent/beside-others';
import type { AccessLogConfig } from '../../src/config/model';
import { makeFlow } from '../../src/kernel/flow';
import type { HandoffDetails } from '../../src/wire/handoff-details';
import { until } from '../kernel/pair';

const FLOW = makeFlow('198.18.1.1', 40_000, '198.19.0.1', 80);
const DETAILS: HandoffDetails = { micros: 812, route: 'api', pool: 'web' };

class Lines implements AccessSink {
  readonly read: (AccessLine & { kind: string })[] = [];
  dropped = 0;

  write(line: string): void {
    this.read.push(JSON.parse(line) as Lines['read'][0]);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

let server: Server;
let log: AccessLog;
let lines: Lines;
let clients: Client[];
/** The server's ends of the connections. */
let accepted: Socket[];

/** Serves as an agent would, whose connections all come from the front `f1`. */
async function serve(
  handler: RequestListener,
  config: Partial<AccessLogConfig> = {},
  { random, details = DETAILS }: { random?: () => number; details?: HandoffDetails | null } = {},
): Promise<void> {
  log = new AccessLog('b1', { sample: 1, errors: true, ...config }, lines, random);
  server = createServer(handler);
  server.prependListener('connection', (socket: Socket) => {
    accepted.push(socket);
    log.opened({
      flow: FLOW,
      id: { epoch: 1, sequence: 1 },
      front: 'f1',
      socket,
      since: performance.now(),
      ...(details && { details }),
    });
  });
  server.prependListener('request', (request, response) => log.requested(request, response));
  listenBesideOthers(server, 'upgrade', (request: IncomingMessage) => log.upgraded(request));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

beforeEach(() => {
  lines = new Lines();
  clients = [];
  accepted = [];
});

afterEach(() => {
  for (const { socket } of clients) socket.destroy();
  server.closeAllConnections();
  server.close();
});

/** A client that counts octets, with one connection. */
class Client {
  text = '';

  constructor(readonly socket: Socket) {
    socket.setEncoding('latin1').on('data', (piece: string) => (this.text += piece));
    socket.on('error', () => undefined);
  }

  static async open(): Promise<Client> {
    const client = new Client(connect((server.address() as AddressInfo).port, '127.0.0.1'));
    clients.push(client);
    await once(client.socket, 'connect');
    return client;
  }

  /** Sends, waits until so many lines are written, and returns how many octets came meanwhile. */
  async ask(text: string, count: number): Promise<number> {
    const before = this.text.length;
    this.socket.write(text, 'latin1');
    await until(() => lines.read.length >= count);
    const written = accepted[0]?.bytesWritten ?? 0;
    await until(() => this.text.length >= written);
    return this.text.length - before;
  }
}

const request = (line: string, ...fields: string[]): string =>
  [`${line} HTTP/1.1`, 'Host: api.test', ...fields, '', ''].join('\r\n');

test('what a line says of the requests of a connection', async () => {
  await serve((_request, response) => response.end('hello\n'));
  const client = await Client.open();
  const fields = ['User-Agent: test/1', 'Referer: http://r.test/?q'];
  const octets = await client.ask(request('GET /a/b?c=d&e?f', ...fields), 1);
  const later = await client.ask(request('POST /p', 'Content-Length: 3') + 'abc', 2);
  const common = {
    kind: 'access',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
    client: '198.18.1.1:40000',
    vip: '198.19.0.1:80',
    host: 'api.test',
    status: 200,
    duration_ms: expect.any(Number) as number,
    route: 'api',
    pool: 'web',
    backend: 'b1',
    front: 'f1',
    aborted: false,
  };
  expect(lines.read).toEqual([
    {
      ...common,
      method: 'GET',
      path: '/a/b',
      query: 'c=d&e?f',
      bytes: octets,
      first: true,
      handoff_us: 812,
      user_agent: 'test/1',
      referer: 'http://r.test/?q',
    },
    { ...common, method: 'POST', path: '/p', bytes: later, first: false },
  ]);
});

test('a front that tells nothing leaves its fields out', async () => {
  await serve((_request, response) => response.end(), {}, { details: null });
  await (await Client.open()).ask(request('GET /'), 1);
  expect(Object.keys(lines.read[0] ?? {})).not.toEqual(
    expect.arrayContaining([expect.stringMatching(/route|pool|handoff/)]),
  );
});

test('octets of answers with a length, in chunks, without a body, and to HEAD', async () => {
  const bodies: Record<string, RequestListener> = {
    '/length': (_request, response) => response.end('x'.repeat(100_000)),
    '/chunks': (_request, response) => {
      for (let piece = 0; piece < 50; piece++) response.write('y'.repeat(piece * 10 + 1));
      response.addTrailers({ 'X-Sum': '1' });
      setImmediate(() => response.end('z'));
    },
    '/none': (_request, response) => response.writeHead(204).end(),
  };
  await serve((request, response) => bodies[request.url ?? '']?.(request, response));
  const client = await Client.open();
  const octets: number[] = [];
  for (const line of ['GET /length', 'GET /chunks', 'GET /none', 'HEAD /length', 'GET /length'])
    octets.push(await client.ask(request(line), octets.length + 1));
  expect(lines.read.map(({ bytes }) => bytes)).toEqual(octets);
  expect(octets[0]).toBe(octets[4]);
  expect(octets[0]).toBeGreaterThan(100_000);
  expect(octets[3]).toBeLessThan(1000);
});

test('octets of answers to requests that came at once, whoever is ready first', async () => {
  const order = ['/slow', '/now', '/late', '/now'];
  await serve((request, response) => {
    const answer = (): unknown => response.end(`${request.url ?? ''}\n`.repeat(1000));
    if (request.url === '/now') answer();
    else setTimeout(answer, request.url === '/slow' ? 60 : 5);
  });
  const client = await Client.open();
  await client.ask(order.map((path) => request(`GET ${path}`)).join(''), order.length);
  const sizes = client.text.split(/(?=HTTP\/1\.1 )/).map((answer) => answer.length);
  expect(lines.read.map(({ path, bytes }) => [path, bytes])).toEqual(
    order.map((path, index) => [path, sizes[index]]),
  );
  expect(lines.read.map(({ first }) => first)).toEqual([true, false, false, false]);
});

test('the time that an application takes counts, also where it lets nobody else run', async () => {
  await serve((_request, response) => {
    for (const until = performance.now() + 30; performance.now() < until;);
    response.end();
  });
  await (await Client.open()).ask(request('GET /'), 1);
  expect(lines.read[0]?.duration_ms).toBeGreaterThanOrEqual(30);
});

test('an application may change its request', async () => {
  await serve((request, response) => {
    Object.assign(request, { url: '/other', method: 'PUT' });
    response.end();
  });
  await (await Client.open()).ask(request('GET /asked'), 1);
  expect(lines.read[0]).toMatchObject({ method: 'GET', path: '/asked' });
});

describe('a client that goes away', () => {
  test('in the middle of an answer', async () => {
    const size = 64 * 1024 * 1024;
    await serve((_request, response) => {
      response.setHeader('Content-Length', size);
      const piece = Buffer.alloc(64 * 1024);
      const more = (): void => {
        while (!response.destroyed && response.write(piece));
      };
      response.on('drain', more);
      more();
    });
    const client = await Client.open();
    client.socket.write(request('GET /'));
    await until(() => client.text.length > 200_000);
    client.socket.destroy();
    await until(() => lines.read.length > 0);
    expect(lines.read).toMatchObject([{ status: 200, aborted: true }]);
    expect(lines.read[0]?.bytes).toBeGreaterThanOrEqual(client.text.length);
    expect(lines.read[0]?.bytes).toBeLessThan(size);
  });

  test('when all has been said and not all is written', async () => {
    await serve((_request, response) => response.end(Buffer.alloc(64 * 1024 * 1024)));
    const client = await Client.open();
    client.socket.write(request('GET /'));
    await until(() => client.text.length > 0);
    client.socket.destroy();
    await until(() => lines.read.length > 0);
    expect(lines.read).toMatchObject([{ status: 200, aborted: true }]);
  });

  test('before there is an answer', async () => {
    await serve(() => undefined);
    const client = await Client.open();
    client.socket.write(request('GET /'));
    await until(() => accepted.length > 0 && (accepted[0]?.bytesRead ?? 0) > 0);
    client.socket.destroy();
    await until(() => lines.read.length > 0);
    expect(lines.read).toMatchObject([{ status: 0, bytes: 0, aborted: true }]);
  });
});

describe('a share', () => {
  const statuses: RequestListener = (request, response) => {
    response.statusCode = Number(request.url?.slice(1));
    response.end();
  };
  /** 0, 0.1, ... 0.9 and again. */
  const tenths = (): (() => number) => {
    let drawn = 0;
    return () => (drawn++ % 10) / 10;
  };

  async function statusesOf(config: Partial<AccessLogConfig>): Promise<number[]> {
    await serve(statuses, config, { random: tenths() });
    const client = await Client.open();
    const asked = Array.from({ length: 20 }, (_, index) => (index % 5 === 4 ? 503 : 200));
    client.socket.write(asked.map((status) => request(`GET /${status}`)).join(''));
    await until(() => client.text.split('HTTP/1.1 ').length === asked.length + 1);
    return lines.read.map(({ status }) => status);
  }

  test.each([
    [1, false, [16, 4]],
    [0, false, [0, 0]],
    [0.2, false, [4, 0]],
    [0.5, false, [8, 2]],
    [0.2, true, [4, 4]],
    [0, true, [0, 4]],
  ])('of %d, with errors %s', async (sample, errors, [ok, failed]) => {
    const seen = await statusesOf({ sample, errors });
    expect(seen.filter((status) => status === 200)).toHaveLength(ok ?? NaN);
    expect(seen.filter((status) => status === 503)).toHaveLength(failed ?? NaN);
  });
});

test('hostile heads are written bounded and escaped', async () => {
  await serve((_request, response) => response.end());
  const client = await Client.open();
  const long = 'p'.repeat(3000);
  const fields = [`User-Agent: \x80\xff\t"${long}`, `Referer: ${long}`];
  await client.ask(request(`GET /<"\\${long}?${long}`, ...fields), 1);
  const [line] = lines.read;
  expect(line).toMatchObject({
    path: `/<"\\${long}`.slice(0, 1024) + '...',
    query: long.slice(0, 1024) + '...',
    user_agent: `\u0080\u00ff\t"${long}`.slice(0, 256) + '...',
    referer: long.slice(0, 512) + '...',
  });
});

test('a connection of the server that is no adopted one has no lines', async () => {
  await serve((_request, response) => response.end());
  server.removeAllListeners('connection');
  const plain = createServer((request, response) => {
    log.requested(request, response);
    response.end();
  });
  plain.listen(0, '127.0.0.1');
  await once(plain, 'listening');
  const socket = connect((plain.address() as AddressInfo).port, '127.0.0.1');
  socket.write(request('GET /', 'Connection: close'));
  await once(socket.resume(), 'close');
  plain.close();
  expect(lines.read).toEqual([]);
});

test('nothing is written when the log is closed', async () => {
  await serve((_request, response) => setTimeout(() => response.end(), 20));
  const client = await Client.open();
  client.socket.write(request('GET /'));
  await until(() => (accepted[0]?.bytesRead ?? 0) > 0);
  await log.close();
  await until(() => client.text.length > 0);
  await new Promise((resolve) => setImmediate(resolve));
  expect(lines.read).toEqual([]);
});

describe('a connection that leaves HTTP', () => {
  const UPGRADE = request('GET /chat?x', 'Connection: Upgrade', 'Upgrade: websocket');

  test('has its line at its end, with all that was written', async () => {
    await serve((_request, response) => response.end('before\n'));
    server.on('upgrade', (_request, socket: Socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
      socket.on('data', (data) => socket.write(data));
      socket.on('end', () => socket.end());
    });
    const client = await Client.open();
    const before = await client.ask(request('GET /'), 1);
    client.socket.write(UPGRADE);
    await until(() => client.text.endsWith('\r\n\r\n'));
    client.socket.end('echo');
    await until(() => lines.read.length === 2);
    expect(lines.read[1]).toMatchObject({
      path: '/chat',
      query: 'x',
      status: 101,
      bytes: client.text.length - before,
      first: false,
      aborted: false,
    });
    expect(client.text.endsWith('echo')).toBe(true);
  });

  test.each<[string, (socket: Socket) => unknown, number]>([
    ['declines', (socket) => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'), 403],
    [
      'writes its head in pieces',
      (socket) => {
        socket.cork();
        socket.write('HTTP/1.1 502 Bad');
        socket.end('\r\n\r\n');
        socket.uncork();
      },
      502,
    ],
    ['says something else', (socket) => socket.end(Buffer.from('hello')), 0],
    ['says nothing', (socket) => socket.destroy(), 0],
  ])('to who %s', async (_, answer, status) => {
    await serve(() => undefined);
    server.on('upgrade', (_request, socket: Socket) => answer(socket));
    const client = await Client.open();
    client.socket.write(UPGRADE);
    await until(() => lines.read.length === 1);
    expect(lines.read[0]).toMatchObject({ status, first: true });
    await until(() => client.text.length >= (lines.read[0]?.bytes ?? NaN));
    expect(lines.read[0]?.bytes).toBe(client.text.length);
  });

  test('and comes back has the lines of its requests', async () => {
    await serve((request, response) => response.end(request.url));
    server.on('upgrade', (_request, socket: Socket) => {
      socket.unshift(Buffer.from(request('GET /again')));
      // As it is done for an upgrade that nobody wants: the listener below is the server's own.
      server.listeners('connection').at(-1)?.call(server, socket);
    });
    const client = await Client.open();
    await client.ask(UPGRADE, 1);
    client.socket.end();
    await once(client.socket, 'close');
    expect(lines.read).toMatchObject([{ path: '/again', status: 200, first: true, handoff_us: 812 }]);
  });
});
