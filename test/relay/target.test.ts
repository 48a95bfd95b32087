import { parseTarget, type RequestTarget } from '../../src/relay/target';

test.each<[string, string, RequestTarget | undefined]>([
  ['GET', '/', { path: '/' }],
  ['GET', '/a//b?c=d#e', { path: '/a//b?c=d#e' }],
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
