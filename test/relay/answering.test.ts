import type { RouteConfig } from '../../src/config/model';
import { answeringOf } from '../../src/relay/answering';
import type { RoutableHead } from '../../src/peek/head';

const head: RoutableHead = {
  method: 'GET',
  host: 'a.example',
  path: '/x',
  query: 'y',
  header: () => undefined,
};

function answered(
  route: RouteConfig,
  to = head,
): { action: string | undefined; body: string; [key: string]: unknown } {
  const answering = answeringOf(route);
  const answer = answering?.answerTo(to);
  return { ...answer, action: answering?.action, body: answer?.body.toString() ?? '' };
}

test.each<[RouteConfig, Record<string, unknown>]>([
  [
    { respond: { status: 200, headers: { 'X-A': '1' }, body: 'ok \u00e9\n' } },
    {
      action: 'respond',
      status: 200,
      fields: ['X-A', '1', 'Content-Type', 'text/plain; charset=utf-8'],
      body: 'ok \u00e9\n',
    },
  ],
  [
    { respond: { status: 503, headers: { 'content-type': 'application/json' }, body: '{}' } },
    { action: 'respond', status: 503, fields: ['content-type', 'application/json'], body: '{}' },
  ],
  [
    { respond: { status: 204, headers: {}, body: '' } },
    { action: 'respond', status: 204, fields: [], body: '' },
  ],
  [
    { redirect: { to: 'https://{host}{path}{query}', status: 301 } },
    {
      action: 'redirect',
      status: 301,
      fields: ['Location', 'https://a.example/x?y', 'Content-Type', 'text/plain'],
      body: 'Moved Permanently\n',
    },
  ],
  [
    { deny: { status: 403 } },
    { action: 'deny', status: 403, fields: ['Content-Type', 'text/plain'], body: 'Forbidden\n' },
  ],
  [
    { deny: { status: 503 } },
    {
      action: 'deny',
      status: 503,
      fields: ['Content-Type', 'text/plain', 'Retry-After', '1'],
      body: 'Service Unavailable\n',
    },
  ],
])('%j', (route, wanted) => {
  expect(answered(route)).toEqual(wanted);
});

test('a request without a host is not redirected to its host', () => {
  const redirect = { to: 'https://{host}/', status: 308 };
  const { status, fields } = answered({ redirect }, { ...head, host: '' });
  expect({ status, fields }).toEqual({ status: 400, fields: ['Content-Type', 'text/plain'] });
});

test('a route to a pool answers nothing', () => {
  expect(answeringOf({ pool: 'web' })).toBeUndefined();
  expect(answeringOf({ split: { pools: [{ name: 'web', weight: 1 }] } })).toBeUndefined();
});
