import fc from 'fast-check';
import { Http1Peek } from '../../src/peek/http1';
import { mutate, mutation, validHead } from './generated-heads';
import { HEAD_BYTES, partsOf, readAtEverySplit, readOnce } from './split';

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
  fc.assert(
    fc.property(validHead, mutation, ({ text }, change) => {
      readAtEverySplit(mutate(text, change), 512);
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
