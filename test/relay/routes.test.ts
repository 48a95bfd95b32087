import type { RouteConfig } from '../../src/config/model';
import { Answering } from '../../src/relay/answering';
import { Forwarding, type NamedPool } from '../../src/relay/forwarding';
import { Pool } from '../../src/front/pool';
import { Routes, type Action } from '../../src/relay/routes';
import type { RoutableHead } from '../../src/peek/head';
import { readDetails } from '../../src/wire/handoff-details';

const pool = (name: string): Pool =>
  new Pool({ name, balance: 'round-robin', fallback: 'proxy', backends: [] }, []);
const POOLS = new Map(['web', 'canary'].map((name) => [name, pool(name)]));
const ASKER = { client: Buffer.alloc(16) };
const EDITS = { set: [], remove: [], request_id: 'X-Request-Id' };

function head(path: string, fields: Readonly<Record<string, string>> = {}): RoutableHead {
  return { method: 'GET', host: 'a', path, query: '', header: (name) => fields[name] };
}

const ROUTES: readonly RouteConfig[] = [
  { match: { path: ['/ok'] }, deny: { status: 403 } },
  { match: { path: ['/edited'] }, pool: 'canary', edits: EDITS },
  {
    match: { path: ['/split'] },
    split: {
      pools: [
        { name: 'web', weight: 1 },
        { name: 'canary', weight: 1 },
      ],
      by: 'header:X-User',
    },
  },
  { match: { path: ['/web'] }, pool: 'web' },
];
const routes = new Routes(ROUTES, POOLS);

function forwarding(action: Action<NamedPool> | undefined): Forwarding<NamedPool> {
  if (!(action instanceof Forwarding)) throw new Error('no pool');
  return action;
}

test('the first route that matches says what is done', () => {
  expect(routes.actionFor(head('/ok'), ASKER)).toBeInstanceOf(Answering);
  expect(forwarding(routes.actionFor(head('/web'), ASKER)).poolOf(head('/web'), ASKER).name).toBe('web');
  expect(routes.actionFor(head('/other'), ASKER)).toBeUndefined();
});

test('a head is changed where its route has edits, with a new id each', () => {
  expect(forwarding(routes.actionFor(head('/web'), ASKER)).changesTo(head('/web'))).toBeUndefined();
  const action = forwarding(routes.actionFor(head('/edited'), ASKER));
  expect(action.poolOf(head('/edited'), ASKER).name).toBe('canary');
  const ids = Array.from({ length: 100 }, () => action.changesTo(head('/edited'))?.set[0]?.[1]);
  expect(new Set(ids).size).toBe(100);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/);
});

test('a split goes by its key', () => {
  const action = forwarding(routes.actionFor(head('/split'), ASKER));
  const placeOf = (user: number): string =>
    action.poolOf(head('/split', { 'x-user': `user-${user}` }), ASKER).name;
  const places = Array.from({ length: 100 }, (_, user) => placeOf(user));
  expect(places.map((_, user) => placeOf(user))).toEqual(places);
  expect(new Set(places)).toEqual(new Set(['web', 'canary']));
});

test('the names of a route and its pool, for access logs', () => {
  const named = new Routes(
    [
      { name: 'Edited', match: { path: ['/edited'] }, pool: 'canary' },
      { match: { path: ['/split'] }, split: { pools: [{ name: 'web', weight: 1 }] } },
      { pool: 'web' },
    ],
    POOLS,
  );
  const namesOf = (path: string): unknown => {
    const action = forwarding(named.actionFor(head(path), ASKER));
    const names = action.namesWith(action.poolOf(head(path), ASKER));
    // Encoded once.
    expect(action.namesWith(action.poolOf(head(path), ASKER))).toBe(names);
    const details = Buffer.concat([Buffer.alloc(4), names]);
    const { route, pool } = readDetails(details, 0, details.length);
    return [route, pool];
  };
  expect(namesOf('/edited')).toEqual(['Edited', 'canary']);
  expect(namesOf('/split')).toEqual(['split#1', 'web']);
  expect(namesOf('/other')).toEqual(['web#2', 'web']);
});

test('a pool that is not there is a defect', () => {
  expect(() => new Routes([{ pool: 'wbe' }], POOLS)).toThrow('route to pool wbe: there is none');
});
