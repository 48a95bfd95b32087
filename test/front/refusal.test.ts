import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { SOCKADDR_BYTES } from '../../src/kernel/flow';
import { close } from '../../src/kernel/libc';
import { accept, listenOn, unreadBytes } from '../../src/kernel/socket';
import { answer, refuse } from '../../src/front/refusal';
import type { Answer } from '../../src/relay/destination';
import { portOf, until } from '../kernel/pair';

const LINGER_MS = 2000;

let listener: number;
const clients: Socket[] = [];

beforeAll(() => {
  listener = listenOn({ host: '127.0.0.1', port: 0, backlog: 16, deferAccept: 0 });
});

afterEach(() => clients.splice(0).forEach((client) => client.destroy()));
afterAll(() => close(listener));

/** A client whose connection was accepted and is still unread, as a refused one is. */
class Refused {
  received = '';
  ended = false;
  error: Error | undefined;

  private constructor(
    readonly client: Socket,
    readonly fd: number,
  ) {
    clients.push(client);
    client.on('data', (data: Buffer) => (this.received += data.toString('latin1')));
    client.on('end', () => (this.ended = true));
    client.on('error', (error) => (this.error = error));
  }

  static async open(): Promise<Refused> {
    const client = connect({ port: portOf(listener), host: '127.0.0.1', allowHalfOpen: true });
    await once(client, 'connect');
    return new Refused(client, accept(listener, Buffer.alloc(SOCKADDR_BYTES)));
  }

  /** Has it refused; resolves with the milliseconds until its socket was gone. */
  refuse(status: number): Promise<number> {
    const began = performance.now();
    return new Promise((resolve) => refuse(this.fd, status, () => resolve(performance.now() - began)));
  }

  answer(given: Answer, withBody: boolean): Promise<void> {
    return new Promise((resolve) => answer(this.fd, given, withBody, resolve));
  }

  get head(): string {
    return this.received.slice(0, this.received.indexOf('\r\n\r\n'));
  }

  get body(): string {
    return this.received.slice(this.received.indexOf('\r\n\r\n') + 4);
  }
}

test.each([
  [400, 'Bad Request', false],
  [404, 'Not Found', false],
  [408, 'Request Timeout', false],
  [431, 'Request Header Fields Too Large', false],
  [503, 'Service Unavailable', true],
  [505, 'HTTP Version Not Supported', false],
])('%i is said in full, and closes', async (status, reason, retry) => {
  const refused = await Refused.open();
  const gone = refused.refuse(status);
  await until(() => refused.ended);
  const [start, ...fields] = refused.head.split('\r\n');
  expect(start).toBe(`HTTP/1.1 ${status} ${reason}`);
  expect(fields).toContain(`Content-Length: ${reason.length + 1}`);
  expect(fields).toContain('Connection: close');
  expect(fields).toContainEqual(expect.stringMatching(/^Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/));
  expect(fields.includes('Retry-After: 1')).toBe(retry);
  expect(refused.body).toBe(`${reason}\n`);
  refused.client.end();
  expect(await gone).toBeLessThan(1000);
});

test('a client that is still sending gets its answer, and no RST', async () => {
  const refused = await Refused.open();
  const { client } = refused;
  const part = Buffer.alloc(256 * 1024, 1);
  client.write(part);
  await until(() => unreadBytes(refused.fd) > 0);
  const gone = refused.refuse(431);
  let sent = part.length;
  while (!refused.ended || sent < 32 * 1024 * 1024) {
    sent += part.length;
    if (!client.write(part)) await once(client, 'drain');
  }
  client.end();
  await gone;
  expect(refused.error).toBeUndefined();
  expect(refused.body).toBe('Request Header Fields Too Large\n');
  process.stdout.write(`refusal: answered while the client sent ${sent >> 20} MiB\n`);
});

test('a client that neither closes nor goes away is cut off', async () => {
  const refused = await Refused.open();
  const lasted = await refused.refuse(408);
  expect(refused.ended).toBe(true);
  expect(lasted).toBeGreaterThanOrEqual(LINGER_MS - 5);
  expect(lasted).toBeLessThan(LINGER_MS + 500);
});

test('a client that is gone already is forgotten at once', async () => {
  const refused = await Refused.open();
  refused.client.resetAndDestroy();
  await until(() => unreadBytes(refused.fd) === 0);
  expect(await refused.refuse(400)).toBeLessThan(1000);
});

test.each([
  ['with its body', 200, true, ['Content-Length: 3'], 'ok\n'],
  ['to HEAD, the head alone', 200, false, ['Content-Length: 3'], ''],
  ['that never has a body', 204, true, [], ''],
])('an answer %s', async (_what, status, withBody, lengths, body) => {
  const asked = await Refused.open();
  const gone = asked.answer(
    { status, fields: ['X-Answer', 'yes', 'X-Other', ''], body: Buffer.from('ok\n') },
    withBody,
  );
  await until(() => asked.ended);
  const [start, date, ...fields] = asked.head.split('\r\n');
  expect(start).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(date).toMatch(/^Date: /);
  expect(fields).toEqual(['X-Answer: yes', 'X-Other: ', ...lengths, 'Connection: close']);
  expect(asked.body).toBe(body);
  asked.client.end();
  await gone;
});

test('a client that has closed its side already gets all of a long answer', async () => {
  const asked = await Refused.open();
  const { client } = asked;
  client.pause();
  client.end('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => unreadBytes(asked.fd) > 0);
  // More than the kernel takes at once from a client that reads nothing yet.
  const body = Buffer.alloc(16 * 1024 * 1024, 'x');
  const gone = asked.answer({ status: 200, fields: [], body }, true);
  await new Promise((resolve) => setImmediate(resolve));
  client.resume();
  await gone;
  await until(() => asked.ended);
  expect(asked.error).toBeUndefined();
  expect(asked.body.length).toBe(body.length);
});
