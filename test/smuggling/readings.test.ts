import { Http1Peek } from '../../src/peek/http1';
import { parseTarget } from '../../src/relay/target';
import { corpusOf, fuzz } from '../fuzz/fuzz';
import type { Random } from '../fuzz/mutator';
import { fieldOf, slowMessage, type SlowHead, type SlowMessage } from '../fuzz/slow-head';
import { ACCEPTED, type Reading } from './cases';
import { makeStream } from './messages';
import { AppServer, UpstreamServer, type Outcome, type ReadingServer } from './servers';

/**
 * The front reads the first head of a connection, the agent's server everything. Here both get the same octets, some of
 * them mutated, and whatever the front accepts the server must read as the front did: method, target, host, where the
 * message ends, and whether another one follows. It may refuse what the front accepts. That loses nobody anything.
 */

const HEAD_BYTES = 16_384;
const NEXT = 'GET /next HTTP/1.1\r\nHost: next.example\r\n\r\n';

/** A message as the front's reader and the rules of slow-head.ts have it. */
interface Expected extends Reading {
  /** Its body is all there. */
  readonly whole: boolean;
  readonly head: SlowHead;
}

interface Readable {
  readonly expected: readonly Expected[];
  /** Why nothing is expected behind the last one. */
  readonly stop: 'end' | 'closed' | 'unreadable' | 'incomplete';
}

/** Mutations of what the front refuses are mostly refused too: these are what it accepts. */
const INPUTS = [...corpusOf('heads.txt'), ...ACCEPTED.map(({ bytes }) => Buffer.from(bytes, 'latin1'))]
  // Limits have tests of their own, and every octet goes through a socket here.
  .filter((bytes) => bytes.length < 2000 && new Http1Peek(HEAD_BYTES).read(bytes, bytes.length) === 'head');

const WORDS = [
  ...[
    '\r\n',
    '\n',
    '\r',
    '\r\n\r\n',
    ' ',
    '\t',
    ':',
    '\0',
    '\x80',
    '#',
    '?',
    '\\',
    '%2e',
    '//',
    ';',
    ',',
    NEXT,
  ],
  ...['HTTP/1.1', 'HTTP/1.0', 'http://', '[::1]', '@', ':80', 'Host: b.example\r\n', 'Host:', ' folded\r\n'],
  ...[
    'Connection: close\r\n',
    'Connection: upgrade\r\n',
    'Connection:',
    'keep-alive',
    'Upgrade: h2c\r\n',
    'Upgrade: a\r\n',
  ],
  ...['Expect: 100-continue\r\n', 'Content-Length: 5\r\n', 'Content-Length:', '0', '00', '+5', '5, 5', '0x5'],
  ...[
    'Transfer-Encoding: chunked\r\n',
    'Transfer-Encoding:',
    'chunked',
    'identity',
    '0\r\n\r\n',
    '5;a=b\r\n',
    'POST',
    'HEAD',
  ],
];

/** What the front's reader makes of the octets, one message after the other, as far as it goes. */
function readAsFront(bytes: Buffer): Readable {
  const expected: Expected[] = [];
  for (let at = 0; ;) {
    const rest = bytes.subarray(at);
    if (rest.length === 0) return { expected, stop: 'end' };
    const peek = new Http1Peek(HEAD_BYTES);
    if (peek.read(rest, rest.length) !== 'head') return { expected, stop: 'unreadable' };
    const text = rest.toString('latin1');
    const message = slowMessage(text);
    const head = slowMessage(text.slice(0, peek.headLength) + bodyFor(peek));
    if (typeof head === 'string') throw new Error(`the slow way does not read what the front does: ${head}`);
    const place = { method: peek.method, url: head.head.target, host: peek.header('host') ?? '' };
    const whole = typeof message !== 'string';
    expected.push({ ...place, body: whole ? message.body : '', whole, head: head.head });
    if (!whole) return { expected, stop: 'incomplete' };
    if (!keepsAlive(head.head)) return { expected, stop: 'closed' };
    at += message.length;
  }
}

/** A body that fits a head, to read the head by itself. */
function bodyFor({ chunked, contentLength }: Http1Peek): string {
  return chunked ? '0\r\n\r\n' : 'x'.repeat(Math.min(Math.max(0, contentLength), HEAD_BYTES));
}

function tokensOf(head: SlowHead, name: string): string[] {
  return (fieldOf(head, name) ?? '')
    .toLowerCase()
    .split(',')
    .map((token) => token.replace(/^[ \t]+|[ \t]+$/g, ''));
}

/** In HTTP/1.0 Node prefers keep-alive to close. Nobody else on the way has to know how long a connection stays. */
function keepsAlive(head: SlowHead): boolean {
  const tokens = tokensOf(head, 'connection');
  return head.minorVersion === 1 ? !tokens.includes('close') : tokens.includes('keep-alive');
}

function asksForUpgrade(head: SlowHead): boolean {
  return head.upgrade && tokensOf(head, 'connection').includes('upgrade');
}

/** Node answers these by itself with 417 and serves what follows. */
function isUnmet(head: SlowHead): boolean {
  const expectation = fieldOf(head, 'expect');
  return (
    expectation !== undefined && head.minorVersion === 1 && !/(?:^|\W)100-continue(?:$|\W)/i.test(expectation)
  );
}

interface Tally {
  tried: number;
  accepted: number;
  /** Messages that were read alike. */
  alike: number;
  refusedByServer: number;
}

function compare({ expected, stop }: Readable, { seen, refused, routed }: Outcome, tally: Tally): void {
  const served = expected.filter(({ head }) => !isUnmet(head));
  const common = Math.min(served.length, seen.length);
  served.slice(0, common).forEach((one, index) => {
    const { method, url, host } = one;
    expect(seen[index]).toMatchObject({ method, url, host });
    expectRouted(one.head, routed[index]);
  });
  // Node's servers read nothing behind an upgrade that nobody takes up, and the relay ends a connection on which one comes
  // while an answer is under way.
  const upgrade = served.findIndex(({ head }) => asksForUpgrade(head));
  const certain = upgrade < 0 ? served : served.slice(0, Math.max(1, upgrade));
  const missing = certain.slice(seen.length).filter(({ whole }) => whole);
  if (missing.length > 0 && !refused) throw new Error(`not seen and not refused: ${JSON.stringify(missing)}`);
  const more = seen.slice(served.length);
  if (more.length > 0 && stop !== 'unreadable') throw new Error(`${stop}, but seen: ${JSON.stringify(more)}`);
  tally.accepted += expected.length > 0 ? 1 : 0;
  tally.alike += common;
  tally.refusedByServer += refused && seen.length === 0 ? 1 : 0;
}

/** The relay takes an upgrade that it ignores out of a request before it is routed (relay/without-upgrade.ts). */
const OF_CONNECTION = new Set(['connection', 'upgrade', 'http2-settings']);

/** Later requests of a relayed connection are routed by what Node has read: the same must come of it. */
function expectRouted(head: SlowHead, routed: Outcome['routed'][number] | undefined): void {
  const { method, host, path, query } = head;
  expect(routed).toMatchObject({ method, host, path, query });
  for (const [name] of head.fields) {
    if (!OF_CONNECTION.has(name)) expect(routed?.header(name)).toBe(fieldOf(head, name));
  }
}

/**
 * An upgrade whose body ends too early is no error to Node's parser: the connection stays until `requestTimeout` ends it.
 */
function isHeld({ expected }: Readable): boolean {
  const last = expected.at(-1);
  return last !== undefined && !last.whole && asksForUpgrade(last.head);
}

/** Addresses of this host, one for each stream. */
function clientOf(index: number): string {
  return `127.${1 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
}

async function fuzzServer(
  name: string,
  server: ReadingServer,
  also: (readable: Readable, outcome: Outcome, client: string, stream: string) => void,
): Promise<Tally> {
  const tally: Tally = { tried: 0, accepted: 0, alike: 0, refusedByServer: 0 };
  await fuzz(name, {
    corpus: INPUTS,
    dictionary: WORDS,
    cases: 2_500,
    check: async (input: Buffer, random: Random) => {
      const bytes = random.oneIn(2) ? makeStream(random) : Buffer.concat([input, Buffer.from(NEXT)]);
      const readable = readAsFront(bytes);
      const client = clientOf(tally.tried++);
      // What the front refuses nobody else gets to see.
      if (readable.expected.length === 0 || isHeld(readable)) return;
      const outcome = await server.read(bytes, client);
      const stream = JSON.stringify(bytes.toString('latin1'));
      try {
        compare(readable, outcome, tally);
        also(readable, outcome, client, stream);
      } catch (cause) {
        throw new Error(`${String(cause)}\nstream: ${stream}`, { cause });
      }
    },
  });
  process.stdout.write(
    `  ${name}: ${tally.tried} streams, ${tally.accepted} accepted by the front, of these ${tally.refusedByServer} ` +
      `refused by the server; ${tally.alike} requests read alike, 0 read differently\n`,
  );
  expect(tally.alike).toBeGreaterThan(1000);
  return tally;
}

test('the server of an application reads what the front read', async () => {
  const server = await new AppServer().start();
  try {
    await fuzzServer('application', server, ({ expected }, { seen }) => {
      const bodies = expected.filter(({ head, whole }) => whole && !isUnmet(head)).map(({ body }) => body);
      expect(seen.map(({ body }) => body).slice(0, bodies.length)).toEqual(bodies.slice(0, seen.length));
    });
  } finally {
    await server.close();
  }
}, 600_000);

/** A request that the relay has read; its body where the front has read it too. */
type Asked = Pick<Reading, 'method' | 'url'> & { readonly body: string | undefined };

interface Stream {
  readonly text: string;
  readonly asked: readonly Asked[];
}

test('the relay reads what the front read, and its upstream reads what the relay read', async () => {
  const server = await new UpstreamServer().start();
  const streams = new Map<string, Stream>();
  try {
    await fuzzServer('relay', server, ({ expected }, { seen }, client, text) => {
      const served = expected.filter(({ head }) => !isUnmet(head));
      const asked = seen.map(({ method, url }, index) => ({ method, url, body: served[index]?.body }));
      streams.set(client, { text, asked });
    });
  } finally {
    await server.close();
  }
  const { messages, rubbish } = server.upstream;
  expect(rubbish).toEqual([]);
  let requests = 0;
  for (const [client, passedOn] of messages) {
    requests += passedOn.length;
    const { text, asked } = streams.get(client) ?? { text: '', asked: [] };
    expect({ text, strangers: strangersAmong(passedOn, asked) }).toEqual({ text, strangers: [] });
  }
  process.stdout.write(`  upstream: ${requests} requests, each of them asked for once and passed on whole\n`);
  expect(requests).toBeGreaterThan(1000);
}, 600_000);

/** What an upstream got and no client asked for, in this order and with this body. */
function strangersAmong(messages: readonly SlowMessage[], asked: readonly Asked[]): SlowMessage[] {
  let next = 0;
  return messages.filter((message) => {
    // What the relay answers by itself is not passed on.
    while (next < asked.length && !isSame(asked[next] as Asked, message)) next += 1;
    return next++ >= asked.length;
  });
}

function isSame({ method, url, body }: Asked, { head, body: passedOn }: SlowMessage): boolean {
  if (body !== undefined && body !== passedOn) return false;
  return method === head.method && parseTarget(method, url)?.path === head.target;
}
