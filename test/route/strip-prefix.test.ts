import fc from 'fast-check';
import { normalisePath } from '../../src/route/path';
import { stripPrefix } from '../../src/route/strip-prefix';

test.each([
  ['/api', '/'],
  ['/api/', '/'],
  ['/api/users', '/users'],
  ['/api/users/', '/users/'],
  ['/api/a%2fb', '/a%2Fb'],
  ['/api/a%2Fb', '/a%2Fb'],
  ['/%61pi/users', '/users'],
  ['/x/../api/./users', '/users'],
  ['/api/x/../users', '/users'],
  ['/api/api', '/api'],
  ['/api/../api/users', '/users'],
])('%s -> %s', (path, wanted) => {
  expect(stripPrefix(path, '/api')).toBe(wanted);
});

test.each([
  '/',
  // What is left would name a host, or be a path that another route guards.
  '/api//evil.example',
  '/api///',
  '/api/.//admin',
  '/api/x/..//admin',
  '/apis',
  '/ap',
  '/x/api',
  '//api',
  '/API',
  '/api/../users',
  '/api/%2e%2e/users',
  '*',
  '/api%2fusers',
  '',
])('%s stays', (path) => {
  expect(stripPrefix(path, '/api')).toBeUndefined();
});

test('what is left is a path, normalised and shorter', () => {
  const segment = fc.constantFrom('api', 'v1', 'x', '..', '.', '', '%61pi', '%2e', 'a%2Fb', 'API');
  const path = fc.array(segment, { maxLength: 6 }).map((segments) => `/${segments.join('/')}`);
  let stripped = 0;
  fc.assert(
    fc.property(path, fc.constantFrom('/api', '/api/v1', '/x'), (sent, prefix) => {
      const rest = stripPrefix(sent, prefix);
      const normal = normalisePath(sent);
      if (rest === undefined) {
        expect(normal === prefix || normal.startsWith(`${prefix}/`)).toBe(normal.startsWith(`${prefix}//`));
        return;
      }
      stripped += 1;
      expect(rest).toMatch(/^\/(?!\/)/);
      expect(rest.length).toBeLessThan(sent.length);
      expect(normalisePath(rest)).toBe(rest);
      expect([normal, `${normal}/`]).toContain(`${prefix}${rest}`);
    }),
    { numRuns: 2000 },
  );
  expect(stripped).toBeGreaterThan(100);
});
