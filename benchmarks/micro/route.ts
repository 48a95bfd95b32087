import { Http1Peek } from '../../src/peek/http1';
import { Router, type RouteRule } from '../../src/route/router';
import { BROWSER_HEAD, HEAD_BYTES } from './browser-head';
import { sink, type Micro } from './micro';

/** Ten rules, of which the last one fits. */
const RULES: readonly RouteRule[] = [
  { match: { host: ['api.example.com', '*.api.example.com'] }, pool: 'api' },
  { match: { host: ['*.cdn.example.com'] }, pool: 'cdn' },
  { match: { path: ['/healthz', '/readyz'] }, pool: 'health' },
  { match: { method: ['POST', 'PUT'], path_prefix: ['/upload'] }, pool: 'upload' },
  { match: { headers: { 'x-canary': 'yes' } }, pool: 'canary' },
  { match: { path_prefix: ['/v1', '/v2'] }, pool: 'old' },
  { match: { host: ['www.example.org'] }, pool: 'other' },
  { match: { path_prefix: ['/admin/'] }, pool: 'admin' },
  { match: { host: ['www.example.com'], path_prefix: ['/account', '/checkout'] }, pool: 'account' },
  { match: { host: ['www.example.com'], path_prefix: ['/shop'] }, pool: 'shop' },
];

/** No rule asks for it. */
const ASKER = { client: Buffer.alloc(16) };

export function route(): Micro {
  const head = new Http1Peek(HEAD_BYTES);
  head.read(BROWSER_HEAD, BROWSER_HEAD.length);
  const router = new Router(RULES);
  if (router.match(head, ASKER)?.pool !== 'shop') throw new Error('the last rule should fit');
  const calls = 50;
  return {
    name: 'route',
    yardstick: 'scan',
    calls,
    batch: () => {
      for (let i = 0; i < calls; i++) sink.value += router.match(head, ASKER)?.pool?.length ?? 0;
    },
  };
}
