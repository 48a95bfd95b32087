import { parseTarget, type RequestTarget } from '../../src/relay/target';

test.each<[string, string, RequestTarget | undefined]>([
  ['GET', '/', { path: '/' }],
  ['GET', '/a//b?c=d', { path: '/a//b?c=d' }],
  ['GET', '/a?b\\c', { path: '/a?b\\c' }],
  ['GET', '/a#b', undefined],
  ['GET', '/a?b#c', undefined],
  ['GET', '/a\\b', undefined],
  ['GET', 'http://b.example/a#b', undefined],
  ['GET', 'http://b.example/a\\b', undefined],
  ['GET', 'http://b.example,c.example/', undefined],
  ['GET', 'http://b.example:x/', undefined],
  ['GET', '//double', { path: '//double' }],
  ['OPTIONS', '*', { path: '*' }],
  ['GET', '*', undefined],
  ['GET', 'http://b.example', { path: '/', host: 'b.example' }],
  ['GET', 'HTTPS://b.example:8443/p?q', { path: '/p?q', host: 'b.example:8443' }],
  ['GET', 'http://b.example?q', { path: '/?q', host: 'b.example' }],
  ['GET', 'http://[::1]:8080/p', { path: '/p', host: '[::1]:8080' }],
  ['OPTIONS', 'http://b.example', { path: '*', host: 'b.example' }],
  ['OPTIONS', 'http://b.example/', { path: '/', host: 'b.example' }],
  ['GET', 'http://user@b.example/', undefined],
  ['GET', 'http:///p', undefined],
  ['GET', 'ftp://b.example/', undefined],
  ['GET', 'b.example:80', undefined],
  ['GET', '', undefined],
])('%s %s', (method, target, expected) => {
  expect(parseTarget(method, target)).toEqual(expected);
});
