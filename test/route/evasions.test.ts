import { Http1Peek } from '../../src/peek/http1';
import { Router } from '../../src/route/router';
import { CLIENT } from './heads';

/**
 * What a route sees of a target or host, and what it does not: the rule, as a table. The application gets the target as
 * it was sent, whatever the route made of it (test/smuggling). So a route is no access control for an application that
 * makes more of a path than this table does.
 */

const router = new Router([
  { match: { path_prefix: ['/admin'] }, pool: 'guarded' },
  { match: { host: ['api.example', '2001:db8::1'] }, pool: 'guarded' },
  { pool: 'open' },
]);

type Verdict = 'guarded' | 'open' | 'refused';

function route(target: string, host: string): Verdict {
  const bytes = Buffer.from(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 'latin1');
  const peek = new Http1Peek(bytes.length);
  return peek.read(bytes, bytes.length) === 'head'
    ? (router.match(peek, CLIENT)?.pool as Verdict)
    : 'refused';
}

test.each<[target: string, verdict: Verdict, rule: string]>([
  ['/admin', 'guarded', 'the prefix itself'],
  ['/admin/', 'guarded', 'what is below it'],
  ['/admin/x', 'guarded', 'what is below it'],
  ['/admin?x', 'guarded', 'a query is no part of the path'],
  ['/admin/../admin', 'guarded', 'dot segments are resolved'],
  ['/x/../admin', 'guarded', 'dot segments are resolved'],
  ['/../admin', 'guarded', 'nothing is above the root'],
  ['/./admin', 'guarded', 'dot segments are resolved'],
  ['/admin/.', 'guarded', 'dot segments are resolved'],
  ['/x/%2e%2e/admin', 'guarded', 'an escaped dot is a dot'],
  ['/x/.%2E/admin', 'guarded', 'an escaped dot is a dot'],
  ['/%61dmin', 'guarded', 'an escaped letter is the letter'],
  ['/%61%64%6D%69%6e/x', 'guarded', 'an escaped letter is the letter'],
  ['http://a.example/admin', 'guarded', 'an absolute target has a path too'],
  ['HTTP://a.example/x/../%61dmin?x', 'guarded', 'an absolute target has a path too'],

  ['/admin/../x', 'open', 'it is /x'],
  ['/adminx', 'open', 'prefixes are of whole segments'],
  ['/x/admin', 'open', 'prefixes begin at the root'],
  ['/?/admin', 'open', 'a query is no part of the path'],
  ['/ADMIN', 'open', 'paths have a case'],
  ['/Admin', 'open', 'paths have a case'],
  ['//admin', 'open', 'an empty segment is a segment'],
  ['/x//../admin', 'open', 'an empty segment is a segment: it is /x/admin'],
  ['/.//admin', 'open', 'an empty segment is a segment: it is //admin'],
  ['/admin;x', 'open', 'parameters are a part of their segment'],
  ['/admin;/x', 'open', 'parameters are a part of their segment'],
  ['/;/admin', 'open', 'parameters are a part of their segment'],
  ['/admin%2fx', 'open', 'an escaped slash is none'],
  ['/x%2f..%2fadmin', 'open', 'an escaped slash is none'],
  ['/x%5c..%5cadmin', 'open', 'an escaped backslash is none'],
  ['/%2561dmin', 'open', 'escapes are resolved once'],
  ['/%c1%a1dmin', 'open', 'an overlong UTF-8 sequence is no letter'],
  ['/admin%00', 'open', 'an escaped control octet is a part of its segment'],
  ['/admin%20', 'open', 'an escaped blank is a part of its segment'],
  ['/admin.', 'open', 'a dot is a part of its segment'],
  ['/admin%', 'open', 'a broken escape stays'],

  ['/x\\..\\admin', 'refused', 'no path has a backslash'],
  ['/\\admin', 'refused', 'no path has a backslash'],
  ['http://a.example\\admin', 'refused', 'no path has a backslash'],
  ['/admin#x', 'refused', 'no target has a fragment'],
  ['/ad\tmin', 'refused', 'no target has a control octet'],
  ['/admin\0', 'refused', 'no target has a control octet'],
  ['/\xe1dmin', 'refused', 'targets are ASCII'],
  ['admin', 'refused', 'a path begins with a slash'],
  ['http://x@a.example/admin', 'refused', 'no target has user information'],
])('%j is %s: %s', (target, verdict) => {
  expect(route(target, 'a.example')).toBe(verdict);
});

test.each<[host: string, verdict: Verdict, rule: string]>([
  ['api.example', 'guarded', 'the host itself'],
  ['API.Example', 'guarded', 'hosts have no case'],
  ['api.example:80', 'guarded', 'a port is no part of it'],
  ['api.example:8443', 'guarded', 'a port is no part of it, whichever it is'],
  ['api.example:', 'guarded', 'an empty port is none'],
  ['api.example.', 'guarded', 'the root may be spelled out'],
  ['api.example.:80', 'guarded', 'the root may be spelled out'],
  ['[2001:db8::1]', 'guarded', 'an address stands in brackets'],
  ['[2001:DB8:0:0::0001]:80', 'guarded', 'an address has many spellings'],

  ['x.api.example', 'open', 'another host'],
  ['api.example.evil', 'open', 'another host'],
  ['api.example..', 'open', 'no host has two roots'],
  ['[2001:db8::2]', 'open', 'another address'],
  ['', 'open', 'no host'],

  ['%61pi.example', 'refused', 'no host has escapes'],
  ['api.example,x', 'refused', 'one host, not two'],
  ['x@api.example', 'refused', 'no host has user information'],
  ['2001:db8::1', 'refused', 'an address stands in brackets'],
  ['api.example/x', 'refused', 'a host is no path'],
  ['\xe1pi.example', 'refused', 'hosts are ASCII'],
])('Host: %j is %s: %s', (host, verdict) => {
  expect(route('/', host)).toBe(verdict);
});
