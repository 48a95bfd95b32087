import fc from 'fast-check';
import { normalisePath } from '../../src/route/path';

test.each([
  // RFC 3986 section 5.2.4 and the cases of section 5.4 that a request can carry.
  ['/a/b/c/./../../g', '/a/g'],
  ['/b/c/.', '/b/c/'],
  ['/b/c/./', '/b/c/'],
  ['/b/c/..', '/b/'],
  ['/b/c/../', '/b/'],
  ['/b/c/../g', '/b/g'],
  ['/b/c/../..', '/'],
  ['/b/c/../../g', '/g'],
  ['/b/c/../../../g', '/g'],
  ['/../g', '/g'],
  ['/..', '/'],
  ['/.', '/'],
  ['/./g', '/g'],
  ['/b/c/g/../h', '/b/c/h'],
  ['/b/c/g;x=1/../y', '/b/c/y'],
  // Repeated slashes are segments like any other.
  ['/a//../b', '/a/b'],
  ['/a//b', '/a//b'],
  ['//..', '/'],
  ['//./a', '//a'],
  // Escapes of unreserved characters (section 6.2.2.2), dots among them.
  ['/%61%64min', '/admin'],
  ['/%41%7A%39%2d%5F%7e', '/Az9-_~'],
  ['/x/%2e%2E/admin', '/admin'],
  ['/x/.%2e/admin', '/admin'],
  ['/x/%2e/admin', '/x/admin'],
  ['/%2e%2e%2fadmin', '/..%2Fadmin'],
  // Escapes of reserved characters keep their meaning, in upper case (section 6.2.2.1).
  ['/a%2fb%3f%2F', '/a%2Fb%3F%2F'],
  ['/a%c3%a9', '/a%C3%A9'],
])('%s becomes %s', (path, normal) => {
  expect(normalisePath(path)).toBe(normal);
});

test.each([
  '/',
  '/a/b.c',
  '/.well-known/acme-challenge/x',
  '/...',
  '/..a/.b',
  '/a..',
  '/a%20b%2Fc',
  '/%252e%252e/a',
  '/%',
  '/%2',
  '/%2g/%g2/%%20',
  '*',
  '',
])('%j stays as it is', (path) => {
  expect(normalisePath(path)).toBe(path);
});

const segment = fc.oneof(
  fc.constantFrom('.', '..', '%2e', '%2E.', '', '%2f', '%61', 'a', '.a', '...'),
  fc.string({ unit: fc.constantFrom('a', 'b', '.', '~', ';', '='), maxLength: 4 }),
);
const path = fc.array(segment, { minLength: 1, maxLength: 10 }).map((segments) => `/${segments.join('/')}`);

test('the result is normal: no dot segments, and nothing left to do', () => {
  fc.assert(
    fc.property(path, (given) => {
      const normal = normalisePath(given);
      expect(normal.startsWith('/')).toBe(true);
      expect(normal.split('/').filter((part) => part === '.' || part === '..')).toEqual([]);
      expect(normalisePath(normal)).toBe(normal);
    }),
    { numRuns: 2000 },
  );
});

/** RFC 3986 section 5.2.4, step by step as it is written there. */
function removeDotSegmentsByTheBook(path: string): string {
  let input = path;
  let output = '';
  while (input !== '') {
    if (input.startsWith('/./') || input === '/.') {
      input = `/${input.slice(3)}`;
    } else if (input.startsWith('/../') || input === '/..') {
      input = `/${input.slice(4)}`;
      output = output.slice(0, Math.max(0, output.lastIndexOf('/')));
    } else {
      const end = input.indexOf('/', 1);
      output += end < 0 ? input : input.slice(0, end);
      input = end < 0 ? '' : input.slice(end);
    }
  }
  return output;
}

test('the result is what the steps of the RFC make of the decoded path', () => {
  fc.assert(
    fc.property(path, (given) => {
      const decoded = given.replace(/%2e/gi, '.').replaceAll('%61', 'a').replaceAll('%2f', '%2F');
      expect(normalisePath(given)).toBe(removeDotSegmentsByTheBook(decoded));
    }),
    { numRuns: 2000 },
  );
});
