import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
} from 'node:http';
import { connect, createServer as createListener, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { OneRequest, onlyMessage, type LingerTimes, type OnlyMessage } from '../../src/agent/one-request';
import { RepairError } from '../../src/repair/errors';
import { HEADER_BYTES, ONE_REQUEST } from '../../src/repair/layout';
import { makeSnapshot } from '../repair/snapshots';

const CLOSE = 'Host: a\r\nConnection: close\r\n';
const FIRST = `GET /a HTTP/1.1\r\n${CLOSE}\r\n`;
const NEXT = 'GET /b HTTP/1.1\r\nHost: a\r\n\r\n';
const ANSWER = /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nanswer to \/a$/;
const LARGE = 4 * 1024 * 1024;

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

/** A server that never listens, like those of an agent, and the paths that it was asked for. */
function serverOf(answer: RequestListener, options: ServerOptions = {}): { server: Server; asked: string[] } {
  const asked: string[] = [];
  const server = createServer(options, (request, response) => {
    asked.push(request.url ?? '');
    answer(request, response);
  });
  server.emit('listening');
  cleanups.push(() => server.close());
  return { server, asked };
}

const late: RequestListener = (request, response) => {
  setTimeout(() => response.end(`answer to ${request.url ?? ''}`), 50);
};

function snapshotOf(received: string, flags = ONE_REQUEST): Buffer {
  const bytes = makeSnapshot({ queues: [received.length, 0, 0], flags });
  bytes.write(received, HEADER_BYTES, 'latin1');
  return bytes;
}

function messageOf(received: string): OnlyMessage {
  const message = onlyMessage(snapshotOf(received), 0);
  if (message === undefined) throw new Error('not a snapshot of one request');
  return message;
}

/** A client whose connection the server has adopted for one request. */
class Adopted {
  received = '';
  /** How the connection ended for the client: FIN, or the code of an error. */
  readonly end: Promise<string>;
  readonly gone: Promise<unknown>;

  private constructor(
    readonly client: Socket,
    readonly socket: Socket,
  ) {
    client.setNoDelay(true).setEncoding('latin1');
    client.on('data', (text: string) => (this.received += text));
    this.end = new Promise((resolve) => {
      client.once('end', () => resolve('FIN'));
      client.once('error', ({ code = '' }: NodeJS.ErrnoException) => resolve(code));
    });
    this.gone = once(socket, 'close');
  }

  /** `head` begins what the client is going to send. */
  static async by(server: Server, head: string, times?: LingerTimes): Promise<Adopted> {
    const listener = createListener({ allowHalfOpen: true });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;
    const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const [socket] = (await once(listener, 'connection')) as [Socket];
    cleanups.push(() => {
      client.destroy();
      socket.destroy();
      listener.close();
    });
    const adopted = new Adopted(client, socket);
    const one = new OneRequest(socket, messageOf(head), server, times);
    // The agent's own listeners stand behind the application's.
    server.on('connection', () => one.attached());
    server.on('request', (_request, response) => response.once('close', one.close));
    server.emit('connection', socket);
    return adopted;
  }

  /** Each piece in a packet of its own. */
  async send(...pieces: readonly string[]): Promise<this> {
    for (const piece of pieces) {
      this.client.write(piece, 'latin1');
      await sleep(5);
    }
    return this;
  }
}

describe('a second request reaches no server, and the first is answered', () => {
  const body = 'x'.repeat(10);
  const known = `POST /a HTTP/1.1\r\n${CLOSE}Content-Length: 10\r\n\r\n`;
  const chunked = `POST /a HTTP/1.1\r\n${CLOSE}Transfer-Encoding: chunked\r\n\r\n`;
  const upgrade = 'GET /a HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade\r\nUpgrade: x\r\n\r\n';
  const chunks = `a\r\n${body}\r\n0\r\n\r\n`;

  describe.each<[string, ServerOptions]>([
    ['an ordinary server', {}],
    ['a server that tolerates everything', { insecureHTTPParser: true }],
  ])('by %s', (_server, options) => {
    test.each<[string, string, string[]]>([
      ['in one packet', FIRST, [FIRST + NEXT]],
      ['in a packet of its own', FIRST, [FIRST, NEXT]],
      ['in pieces', FIRST, [FIRST.slice(0, 10), FIRST.slice(10) + NEXT.slice(0, 5), NEXT.slice(5)]],
      ['many times', FIRST, [FIRST, ...Array.from({ length: 20 }, () => NEXT)]],
      ['behind an empty line', FIRST, [FIRST, `\r\n${NEXT}`]],
      ['behind a body', known, [known + body + NEXT]],
      ['behind a body in pieces', known, [known, body.slice(5), body.slice(5) + NEXT, NEXT]],
      ['behind chunks', chunked, [chunked + chunks + NEXT]],
      ['behind chunks in pieces', chunked, [chunked, ...Array.from(chunks), NEXT]],
      ['behind an upgrade that the server does not know', upgrade, [upgrade, NEXT, NEXT]],
      ['in the packet of an upgrade that the server does not know', upgrade, [upgrade + NEXT, NEXT]],
    ])('%s', async (_how, head, pieces) => {
      const { server, asked } = serverOf(late, options);
      const adopted = await Adopted.by(server, head);
      await adopted.send(...pieces);
      expect(await adopted.end).toBe('FIN');
      expect(adopted.received).toMatch(ANSWER);
      expect(adopted.received).toContain('\r\nConnection: close\r\n');
      // Behind the end, too.
      await adopted.send(NEXT);
      adopted.client.end();
      await adopted.gone;
      expect(asked).toEqual(['/a']);
    });
  });

  test('without the guard, the same servers fail', async () => {
    for (const options of [{}, { insecureHTTPParser: true }]) {
      const { server, asked } = serverOf(late, options);
      const listener = createListener((socket) => server.emit('connection', socket)).listen(0, '127.0.0.1');
      cleanups.push(() => listener.close());
      await once(listener, 'listening');
      const client = connect((listener.address() as AddressInfo).port, '127.0.0.1');
      cleanups.push(() => client.destroy());
      let received = '';
      client.on('data', (piece) => (received += String(piece)));
      client.write(FIRST + NEXT);
      await once(client, 'close');
      // The one answers with an error in place of the first answer, the other serves the second request.
      if (options.insecureHTTPParser) expect(asked).toEqual(['/a', '/b']);
      else expect(received).toMatch(/^HTTP\/1\.1 400 /);
    }
  });
});

describe('the connection ends', () => {
  test('also when the application promises to keep it alive', async () => {
    const { server, asked } = serverOf((_request, response) => {
      response.setHeader('Connection', 'keep-alive').end('answer to /a');
    });
    const adopted = await Adopted.by(server, FIRST);
    await adopted.send(FIRST, NEXT);
    expect(await adopted.end).toBe('FIN');
    expect(adopted.received).toMatch(ANSWER);
    adopted.client.end();
    await adopted.gone;
    expect(asked).toEqual(['/a']);
  });

  test('with the client, which may have closed its side long before', async () => {
    const { server } = serverOf(late);
    Object.assign(server, { httpAllowHalfOpen: true });
    const adopted = await Adopted.by(server, FIRST);
    adopted.client.end(FIRST + NEXT);
    expect(await adopted.end).toBe('FIN');
    expect(adopted.received).toMatch(ANSWER);
    await adopted.gone;
  });

  test('although the client has not closed, when it is silent', async () => {
    const { server } = serverOf(late);
    const adopted = await Adopted.by(server, FIRST, { silentMs: 100, mostMs: 60_000 });
    await adopted.send(FIRST);
    await adopted.gone;
    expect(adopted.received).toMatch(ANSWER);
  });

  test('although the client goes on sending, in the end', async () => {
    const { server } = serverOf(late);
    const adopted = await Adopted.by(server, FIRST, { silentMs: 60_000, mostMs: 200 });
    await adopted.send(FIRST);
    const sending = setInterval(() => adopted.client.write(NEXT), 10);
    cleanups.push(() => clearInterval(sending));
    await adopted.gone;
    expect(adopted.received).toMatch(ANSWER);
  });

  test('with a large answer whole, while the client sends without end', async () => {
    const { server, asked } = serverOf((_request, response) => response.end('x'.repeat(LARGE)));
    const adopted = await Adopted.by(server, FIRST);
    await adopted.send(FIRST);
    const sending = setInterval(() => adopted.client.write(NEXT.repeat(100)), 1);
    expect(await adopted.end).toBe('FIN');
    clearInterval(sending);
    expect(adopted.received.length - adopted.received.indexOf('\r\n\r\n') - 4).toBe(LARGE);
    adopted.client.end();
    await adopted.gone;
    expect(asked).toEqual(['/a']);
  });
});

describe('a body', () => {
  const head = `POST /a HTTP/1.1\r\n${CLOSE}Content-Length: ${LARGE}\r\n\r\n`;

  test('is read to its end by an application that answers first', async () => {
    let length = 0;
    const { server } = serverOf((request, response) => {
      response.end('answer to /a');
      request.on('data', (piece: Buffer) => (length += piece.length));
    });
    const adopted = await Adopted.by(server, head);
    await adopted.send(head);
    expect(await adopted.end).toBe('FIN');
    expect(adopted.received).toMatch(ANSWER);
    adopted.client.write('x'.repeat(LARGE) + NEXT);
    adopted.client.end();
    await adopted.gone;
    expect(length).toBe(LARGE);
  });

  test.each<[string, (request: IncomingMessage) => void]>([
    ['that nobody reads', () => undefined],
    ['that somebody begins to read', (request) => request.once('data', () => request.pause())],
  ])('%s does not cost the client its answer', async (_what, read) => {
    const { server, asked } = serverOf((request, response) => {
      read(request);
      setTimeout(() => response.writeHead(413, { 'Content-Length': 2 }).end('no'), 50);
    });
    const adopted = await Adopted.by(server, head, { silentMs: 100, mostMs: 500 });
    await adopted.send(head);
    adopted.client.write('x'.repeat(LARGE) + NEXT);
    expect(await adopted.end).toBe('FIN');
    expect(adopted.received).toMatch(/^HTTP\/1\.1 413 [^]*no$/);
    adopted.client.end();
    // One that is paused by the application hears of no end.
    await adopted.gone;
    expect(asked).toEqual(['/a']);
  });

  test('comes after 100-continue', async () => {
    const expecting = `POST /a HTTP/1.1\r\n${CLOSE}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n`;
    const { server, asked } = serverOf((request, response) => {
      request.resume().on('end', () => response.end('answer to /a'));
    });
    const adopted = await Adopted.by(server, expecting);
    await adopted.send(expecting, `hello${NEXT}`);
    expect(await adopted.end).toBe('FIN');
    expect(adopted.received).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 [^]*answer to \/a$/);
    expect(asked).toEqual(['/a']);
  });
});

describe('an upgrade', () => {
  const head = 'GET /a HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade\r\nUpgrade: x\r\n\r\n';

  /** A server whose `upgrade` listener does this. */
  function upgrading(
    listener: (request: IncomingMessage, socket: Socket, head: Buffer) => void,
  ): ReturnType<typeof serverOf> {
    const made = serverOf(late);
    made.server.once('upgrade', listener);
    return made;
  }

  test.each([
    ['in one packet', [`${head}one`, 'two', 'three']],
    ['in many', [...Array.from(head), 'one', 'two', 'three']],
  ])('that is accepted passes everything on, %s', async (_how, pieces) => {
    let sent = '';
    const { server, asked } = upgrading((_request, socket, first) => {
      socket.unshift(first);
      socket.write('HTTP/1.1 101 OK\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
      socket.on('data', (piece: Buffer) => (sent += piece.toString())).on('end', () => socket.end('bye'));
    });
    const adopted = await Adopted.by(server, head);
    await adopted.send(...pieces);
    adopted.client.end();
    expect(await adopted.end).toBe('FIN');
    expect(adopted.received).toMatch(/^HTTP\/1\.1 101 [^]*\r\n\r\nbye$/);
    expect(sent).toBe('onetwothree');
    expect(asked).toEqual([]);
  });

  test('that is refused leads to no further request', async () => {
    const { server, asked } = upgrading((_request, socket) => {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
    });
    const adopted = await Adopted.by(server, head);
    await adopted.send(head + NEXT, NEXT);
    expect(await adopted.end).toBe('FIN');
    expect(adopted.received).toMatch(/^HTTP\/1\.1 403 /);
    expect(asked).toEqual([]);
  });

  test('that is served as an ordinary request after all is the only one', async () => {
    const { server, asked } = upgrading((_request, socket, first) => {
      socket.unshift(Buffer.concat([Buffer.from(FIRST), first]));
      server.emit('connection', socket);
    });
    const adopted = await Adopted.by(server, head);
    await adopted.send(head + NEXT, NEXT);
    expect(await adopted.end).toBe('FIN');
    expect(adopted.received).toMatch(ANSWER);
    expect(asked).toEqual(['/a']);
  });
});

describe('a snapshot', () => {
  test('is of one request where its flag says so', () => {
    expect(onlyMessage(snapshotOf(FIRST, 0), 0)).toBeUndefined();
    expect(onlyMessage(snapshotOf('no head', 0), 0)).toBeUndefined();
    expect(onlyMessage(snapshotOf(FIRST), 0)).toMatchObject({ tunnel: false });
    expect(onlyMessage(Buffer.concat([Buffer.alloc(13), snapshotOf(FIRST)]), 13)).toMatchObject({
      tunnel: false,
    });
  });

  test.each([
    ['incomplete', FIRST.slice(0, -1)],
    ['incomplete', ''],
    ['host_missing', 'GET / HTTP/1.1\r\n\r\n'],
    ['framing_conflict', `GET / HTTP/1.1\r\n${CLOSE}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`],
  ])('of one request is malformed without a head: %s', (reason, received) => {
    const message = `snapshot: one request without a head: ${reason}`;
    const refusal = new RepairError('malformed_snapshot', message);
    expect(() => onlyMessage(snapshotOf(received), 0)).toThrow(refusal);
  });
});
