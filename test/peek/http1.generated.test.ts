import fc from 'fast-check';
import { Http1Peek } from '../../src/peek/http1';
import { HEAD_BYTES, partsOf, readAtEverySplit, readOnce } from './split';

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
const TOKEN = `${LETTERS}0123456789!#$%&'*+-.^_\`|~`;
const VISIBLE = Array.from({ length: 94 }, (_, i) => String.fromCharCode(0x21 + i)).join('');

function stringOf(characters: string, minLength: number, maxLength: number): fc.Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom(...Array.from(characters)), minLength, maxLength });
}

/** Fields with a meaning for the message are generated on purpose, not by chance. */
const SPECIAL = ['host', 'upgrade', 'content-length', 'transfer-encoding'];

const field = fc.record({
  name: stringOf(TOKEN, 1, 20).filter((name) => !SPECIAL.includes(name.toLowerCase())),
  before: stringOf(' \t', 0, 3),
  value: stringOf(`${VISIBLE} \t\x80\xe9\xff`, 0, 40).map((value) => value.replace(/^[ \t]+|[ \t]+$/g, '')),
  after: stringOf(' \t', 0, 3),
});

const validHead = fc
  .record({
    emptyLine: fc.boolean(),
    method: stringOf(TOKEN, 1, 32).filter((method) => method !== 'CONNECT'),
    path: stringOf(VISIBLE.replace(/[#?\\]/g, ''), 0, 40).map((path) => `/${path}`),
    query: fc.option(stringOf(VISIBLE.replace('#', ''), 0, 40), { nil: undefined }),
    absolute: fc.boolean(),
    minorVersion: fc.constantFrom<0 | 1>(0, 1),
    host: fc.oneof(
      stringOf(`${LETTERS}0123456789-._~!$&'()*+;=`, 1, 30),
      fc.ipV4(),
      fc.ipV6().map((address) => `[${address}]`),
    ),
    port: fc.option(fc.integer({ min: 0, max: 65535 }), { nil: undefined }),
    contentLength: fc.option(fc.maxSafeNat(), { nil: undefined }),
    fields: fc.array(field, { maxLength: 12 }),
  })
  .map((parts) => ({ ...parts, text: spell(parts) }));

function spell(parts: {
  emptyLine: boolean;
  method: string;
  path: string;
  query: string | undefined;
  absolute: boolean;
  minorVersion: 0 | 1;
  host: string;
  port: number | undefined;
  contentLength: number | undefined;
  fields: readonly { name: string; before: string; value: string; after: string }[];
}): string {
  const authority = parts.port === undefined ? parts.host : `${parts.host}:${parts.port}`;
  const query = parts.query === undefined ? '' : `?${parts.query}`;
  const target = `${parts.absolute ? `http://${authority.toUpperCase()}` : ''}${parts.path}${query}`;
  const lines = parts.fields.map(({ name, before, value, after }) => `${name}:${before}${value}${after}`);
  // Host in the middle, so that nothing depends on its place.
  lines.splice(lines.length >> 1, 0, `Host: ${authority}`);
  if (parts.contentLength !== undefined) lines.push(`Content-Length: ${parts.contentLength}`);
  const start = `${parts.emptyLine ? '\r\n' : ''}${parts.method} ${target} HTTP/1.${parts.minorVersion}`;
  return [start, ...lines, '', ''].join('\r\n');
}

test('a valid head is read as it was made', () => {
  fc.assert(
    fc.property(validHead, (made) => {
      const peek = new Http1Peek(HEAD_BYTES);
      const bytes = Buffer.from(`${made.text}body`, 'latin1');
      expect(readOnce(peek, bytes, bytes.length)).toEqual({ outcome: 'head', headLength: made.text.length });
      expect(partsOf(peek)).toMatchObject({
        method: made.method,
        host: made.host.toLowerCase().replace(/[[\]]/g, ''),
        path: made.path,
        query: made.query ?? '',
        minorVersion: made.minorVersion,
        contentLength: made.contentLength ?? -1,
      });
      for (const { name } of made.fields) {
        const values = made.fields.filter((other) => other.name.toLowerCase() === name.toLowerCase());
        const joined = values.map(({ value }) => value).join(', ');
        expect(peek.header(name.toLowerCase())).toBe(joined);
      }
    }),
    { numRuns: 1000 },
  );
});

test('a valid head is read the same at every split', () => {
  fc.assert(
    fc.property(validHead, ({ text }) => {
      expect(readAtEverySplit(text).decidedAt).toBe(text.length);
    }),
    { numRuns: 40 },
  );
});

test('random bytes are judged the same at every split', () => {
  // Bytes with a meaning come often, so that the random ones get past the first line.
  const text = fc.array(
    fc.oneof(
      fc.constantFrom(
        'GET ',
        '/',
        ' HTTP/1.1',
        '\r\n',
        'Host: a\r\n',
        ':',
        ' ',
        '\n',
        '\r',
        'Content-Length: 1\r\n',
      ),
      fc.integer({ min: 0, max: 255 }).map((octet) => String.fromCharCode(octet)),
    ),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(text, (pieces) => {
      readAtEverySplit(pieces.join(''));
      readAtEverySplit(`GET / HTTP/1.1\r\n${pieces.join('')}`);
    }),
    { numRuns: 200 },
  );
});

test('a mutated head is judged the same at every split', () => {
  const mutation = fc.record({
    at: fc.nat(),
    removed: fc.integer({ min: 0, max: 2 }),
    added: fc.string({
      unit: fc.integer({ min: 0, max: 255 }).map((octet) => String.fromCharCode(octet)),
      maxLength: 2,
    }),
  });
  fc.assert(
    fc.property(validHead, mutation, ({ text }, { at, removed, added }) => {
      const place = at % text.length;
      readAtEverySplit(text.slice(0, place) + added + text.slice(place + removed), 512);
    }),
    { numRuns: 60 },
  );
});

test('a head with a forbidden octet in it is never accepted', () => {
  const forbidden = fc.constantFrom(...Array.from('\0\x01\x08\x0b\x0c\x0e\x1b\x1f\x7f\n'));
  fc.assert(
    fc.property(validHead, fc.nat(), forbidden, ({ text }, at, octet) => {
      const place = at % text.length;
      const mutated = text.slice(0, place) + octet + text.slice(place);
      // An LF in front of the head's last one leaves the head as it was: the octet too many is the body's first.
      fc.pre(!mutated.startsWith(text));
      const bytes = Buffer.from(mutated, 'latin1');
      expect(new Http1Peek(HEAD_BYTES).read(bytes, bytes.length)).toBe('malformed');
    }),
    { numRuns: 500 },
  );
});
