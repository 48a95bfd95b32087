import { Http1Peek, type PeekOutcome } from '../../src/peek/http1';
import { corpusOf, fuzz } from './fuzz';
import type { Random } from './mutator';
import { fieldOf, slowHead } from './slow-head';

const LIMITS = { bytes: 4096, fields: 100 };

/** What means something in a head. */
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
    '\x7f',
    '\x80',
    '#',
    '?',
    '\\',
    '%',
    '%2e',
    '/../',
    '//',
    ';',
    ',',
  ],
  ...[
    'HTTP/1.1',
    'HTTP/1.0',
    'HTTP/2.0',
    'GET ',
    'CONNECT ',
    'OPTIONS * ',
    'http://',
    'https://',
    '[::1]',
    '@',
    ':80',
    ':0',
  ],
  ...['Host: b.example\r\n', 'Host:', 'host', 'Upgrade: h2c\r\n', 'Connection: close\r\n', ' folded\r\n'],
  ...[
    'Content-Length: 5\r\n',
    'Content-Length:',
    'content-length: 0\r\n',
    '+5',
    '-1',
    '0x5',
    '5, 5',
    '9007199254740993',
  ],
  ...['Transfer-Encoding: chunked\r\n', 'Transfer-Encoding:', 'chunked', 'identity', 'xchunked', 'X: y\r\n'],
];

test('a head is read as the slow way reads it, the same at every split', async () => {
  const outcomes: Record<PeekOutcome, number> = { head: 0, more: 0, malformed: 0 };
  const tried = await fuzz('heads', {
    corpus: corpusOf('heads.txt'),
    dictionary: WORDS,
    check: (input, random) => {
      outcomes[compare(input)] += 1;
      checkSplits(input, random);
    },
  });
  process.stdout.write(
    `  heads: ${outcomes.head} accepted, ${outcomes.malformed} refused, ${outcomes.more} incomplete\n`,
  );
  expect(tried).toBeGreaterThan(1000);
  expect(Math.min(...Object.values(outcomes))).toBeGreaterThan(tried / 100);
}, 300_000);

/** Both ways of reading, side by side. */
function compare(input: Buffer): PeekOutcome {
  const peek = new Http1Peek(LIMITS.bytes);
  const outcome = peek.read(input, input.length);
  const slow = slowHead(input.toString('latin1'), LIMITS);
  if ((outcome === 'head') !== (slow !== undefined)) {
    throw new Error(`${outcome} ${peek.reason}, but the slow way says ${JSON.stringify(slow)}`);
  }
  if (slow === undefined) return outcome;
  const { target, fields, length, ...wanted } = slow;
  const actual = Object.fromEntries(
    Object.keys(wanted).map((key) => [key, peek[key as keyof typeof wanted]]),
  );
  expect({ ...actual, length: peek.headLength }).toEqual({ ...wanted, length });
  // The target is not kept as a whole.
  expect(target.endsWith(peek.query)).toBe(true);
  for (const [name] of fields) expect(peek.header(name)).toBe(fieldOf(slow, name));
  return outcome;
}

/** Shorter and shorter beginnings: more is needed up to the octet that decides, and then nothing changes. */
function checkSplits(input: Buffer, random: Random): void {
  const peek = new Http1Peek(LIMITS.bytes);
  const whole = verdictOf(peek, input, input.length);
  const places = Array.from({ length: 6 }, () => random.below(input.length + 1)).sort((a, b) => a - b);
  let decided = false;
  for (const place of places) {
    const verdict = verdictOf(peek, input, place);
    if (verdict !== 'more') decided = true;
    if (decided && verdict !== whole) throw new Error(`${verdict} after ${place} bytes, ${whole} after all`);
  }
}

function verdictOf(peek: Http1Peek, input: Buffer, length: number): string {
  const outcome = peek.read(input, length);
  if (outcome === 'head') return `head of ${peek.headLength}`;
  return outcome === 'malformed' ? `${peek.reason}, ${peek.status}` : outcome;
}
