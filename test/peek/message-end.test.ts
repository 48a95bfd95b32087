import fc from 'fast-check';
import { Http1Peek } from '../../src/peek/http1';
import { MessageEnd } from '../../src/peek/message-end';
import { readWithNode } from './node-reader';

/** Two parsers read thousands of streams. */
const TIMEOUT_MS = 30_000;

const HEAD = 'POST /a HTTP/1.1\r\nHost: a\r\n';
const CHUNKED = `${HEAD}Transfer-Encoding: chunked\r\n\r\n`;
const NEXT = 'GET /b HTTP/1.1\r\nHost: a\r\n\r\n';

function endOf(text: string): MessageEnd {
  const peek = new Http1Peek(4096);
  const bytes = Buffer.from(text, 'latin1');
  expect(peek.read(bytes, bytes.length)).toBe('head');
  return new MessageEnd(peek);
}

/** The part of a stream that belongs to its first message, taken in pieces of the given lengths, in turn. */
function firstMessage(
  text: string,
  lengths: readonly number[] = [text.length],
): { message: Buffer[]; over: boolean } {
  const end = endOf(text);
  const message: Buffer[] = [];
  for (let at = 0, turn = 0; at < text.length; turn++) {
    const piece = Buffer.from(text.slice(at, at + (lengths[turn % lengths.length] ?? 1)), 'latin1');
    const taken = end.take(piece);
    if (taken < piece.length) expect(end.over).toBe(true);
    message.push(piece.subarray(0, taken));
    at += piece.length;
  }
  return { message, over: end.over };
}

/** How many octets of a stream are its first message's, wherever the stream is cut. */
function lengthOf(text: string): { length: number; over: boolean } {
  const whole = firstMessage(text);
  const length = Buffer.concat(whole.message).length;
  for (let cut = 1; cut < text.length; cut++) {
    const cutOnce = firstMessage(text, [cut, text.length]);
    expect({ cut, length: Buffer.concat(cutOnce.message).length }).toEqual({ cut, length });
  }
  const octets = firstMessage(text, [1]);
  expect({ length: Buffer.concat(octets.message).length, over: octets.over }).toEqual({
    length,
    over: whole.over,
  });
  return { length, over: whole.over };
}

describe('a message ends', () => {
  test.each<[string, string]>([
    ['with its head', `${HEAD}\r\n`],
    ['with its head, where the length is 0', `${HEAD}Content-Length: 0\r\n\r\n`],
    ['with an empty line before its head', `\r\n${HEAD}\r\n`],
    ['with its last octet', `${HEAD}Content-Length: 5\r\n\r\nhello`],
    ['with a body that looks like a request', `${HEAD}Content-Length: ${NEXT.length}\r\n\r\n${NEXT}`],
    ['with no chunk', `${CHUNKED}0\r\n\r\n`],
    ['with its last chunk', `${CHUNKED}5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n`],
    ['with a chunk that looks like the end', `${CHUNKED}5\r\n0\r\n\r\n\r\n0\r\n\r\n`],
    [
      'with sizes in any case and with zeros',
      `${CHUNKED}00a\r\n0123456789\r\n0A\r\n0123456789\r\n000\r\n\r\n`,
    ],
    ['with extensions', `${CHUNKED}5;a=b;c="d\\""\r\nhello\r\n0;e\r\n\r\n`],
    ['with trailers', `${CHUNKED}0\r\nA: b\r\nContent-Length: 99\r\n\r\n`],
  ])('%s', (_what, message) => {
    expect(lengthOf(message + NEXT)).toEqual({ length: message.length, over: true });
    const end = endOf(message);
    expect(end.take(Buffer.from(message.slice(0, -1), 'latin1'))).toBe(message.length - 1);
    expect(end.over).toBe(false);
  });

  test.each<[string, string]>([
    ['no size', `${CHUNKED}\r`],
    ['a size that is none', `${CHUNKED}x`],
    ['a sign', `${CHUNKED}+`],
    ['a blank in front of the size', `${CHUNKED} `],
    ['a blank behind the size', `${CHUNKED}5 `],
    ['a size that is too large', `${CHUNKED}fffffffffffff`],
    ['LF behind the size', `${CHUNKED}5\n`],
    ['LF in an extension', `${CHUNKED}5;a\n`],
    ['CR alone behind the size', `${CHUNKED}5\rh`],
    ['more data than the size says', `${CHUNKED}1\r\nhe`],
    ['LF behind the data', `${CHUNKED}1\r\nh\n`],
    ['CR alone behind the data', `${CHUNKED}1\r\nh\r1`],
    ['LF behind the last size', `${CHUNKED}0\r\n\n`],
    ['LF in a trailer', `${CHUNKED}0\r\nA: b\n`],
    ['CR alone in a trailer', `${CHUNKED}0\r\nA: b\rc`],
    ['CR alone at the end', `${CHUNKED}0\r\n\rG`],
  ])('where it goes wrong: %s', (_what, message) => {
    expect(lengthOf(message + NEXT)).toEqual({ length: message.length, over: true });
  });
});

const body = fc.string({ unit: 'binary-ascii', maxLength: 40 });
const chunk = fc.record({
  data: fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 40 }),
  extension: fc.constantFrom('', ';a', ';a=b', ';a="b c"'),
});
const chunkedMessage = fc
  .record({
    chunks: fc.array(chunk, { maxLength: 4 }),
    trailers: fc.constantFrom('', 'A: b\r\n', 'A: b\r\nC:\r\n'),
  })
  .map(({ chunks, trailers }) => ({
    body: chunks.map(({ data }) => data).join(''),
    text: `${CHUNKED}${chunks.map(({ data, extension }) => `${data.length.toString(16)}${extension}\r\n${data}\r\n`).join('')}0\r\n${trailers}\r\n`,
  }));
const message = fc.oneof(
  chunkedMessage,
  body.map((text) => ({ body: text, text: `${HEAD}Content-Length: ${text.length}\r\n\r\n${text}` })),
);
const lengths = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 5 });

test(
  'a whole message reaches Node, and nothing behind it',
  async () => {
    await fc.assert(
      fc.asyncProperty(message, lengths, async ({ text, body }, cuts) => {
        const { message, over } = firstMessage(text + NEXT, cuts);
        expect({ over, message: Buffer.concat(message).toString('latin1') }).toEqual({
          over: true,
          message: text,
        });
        const { requests, error } = await readWithNode(message);
        expect(requests).toMatchObject([{ url: '/a', body, complete: true }]);
        expect(error).toBe('');
      }),
      { numRuns: 300 },
    );
  },
  TIMEOUT_MS,
);

test(
  'whatever follows a head, Node never finds a second request in what is taken for the first',
  async () => {
    const octet = fc.integer({ min: 0, max: 255 }).map((value) => String.fromCharCode(value));
    const pieces = fc.array(
      fc.oneof(
        octet,
        fc.constantFrom('0', '5', 'a', '\r\n', '\r', '\n', '0\r\n\r\n', ';', ' ', NEXT, 'hello', 'A: b'),
      ),
      { maxLength: 12 },
    );
    const mutated = fc
      .tuple(chunkedMessage, fc.nat(), pieces, fc.integer({ min: 0, max: 3 }))
      .map(([{ text }, at, added, removed]) => {
        const place = CHUNKED.length + (at % (text.length - CHUNKED.length));
        return text.slice(0, place) + added.join('') + text.slice(place + removed) + NEXT + NEXT;
      });
    const noise = pieces.map((added) => CHUNKED + added.join('') + NEXT);
    let served = 0;
    await fc.assert(
      fc.asyncProperty(fc.oneof(mutated, noise), lengths, fc.boolean(), async (text, cuts, lenient) => {
        const { message } = firstMessage(text, cuts);
        const { requests } = await readWithNode(message, { lenient });
        expect(requests.map(({ url }) => url)).toEqual(['/a']);
        const all = await readWithNode([Buffer.from(text, 'latin1')], { lenient });
        if (all.requests.length > 1) served += 1;
      }),
      { numRuns: 1000 },
    );
    process.stdout.write(
      `message ends: 1000 streams, Node alone finds more than one request in ${served} of them\n`,
    );
    expect(served).toBeGreaterThan(10);
  },
  TIMEOUT_MS,
);
