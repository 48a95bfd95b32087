/**
 * What an agent judges later requests by: the payload of a ROUTES frame, JSON text. A front sends it once on each `offers`
 * channel to an agent that judges, before any offer. It says
 *
 * - what becomes of requests: the routes, in the front's own normalised form (config/model.ts);
 * - which pools this agent is a backend of, and what else there is in them, for requests that it has to relay;
 * - which listeners leave their connections alone, and which want requests for other pools to be relayed.
 *
 * Routes that an agent does not understand could not be judged by, so unknown keys are refused, and the front hears why.
 */
import { Type, type Static } from '@sinclair/typebox';
import type { RouteConfig } from '../config/model';
import { HASH_KEY, TOKEN } from '../config/fields';
import { MAX_ROUTES } from '../config/schema';
import { checker } from '../config/validate';
import { MOST_ADDED_BYTES, MOST_ADDED_FIELDS } from '../peek/edited-head';
import { addedBytes } from '../route/head-edits';
import { faultOf } from '../route/pattern';
import { MAX_ROUTES_BYTES, ProtocolError } from './frames';

/** The layout of this text; another one is refused. */
const LAYOUT = 1;
/** As in a configuration: each takes a quarter of a millisecond to compile, and 13 KB or more where it is used. */
const MAX_PATTERNS = 4096;
const MAX_LIST = 1024;
const MAX_TEXT = 1024;
const MAX_BODY_CHARACTERS = 65_536;

const closed = { additionalProperties: false };
const object = <P extends Parameters<typeof Type.Object>[0]>(properties: P) =>
  Type.Object(properties, closed);
const text = (options: object = {}) => Type.String({ maxLength: MAX_TEXT, ...options });
const list = <T extends Parameters<typeof Type.Array>[0]>(items: T, maxItems = MAX_LIST) =>
  Type.Array(items, { maxItems });

const NAME = Type.String({ pattern: '^[A-Za-z0-9._-]{1,64}$' });
const FIELD = Type.String({ pattern: `^${TOKEN}$` });
/** Printable ASCII: what is in here is written into heads. */
const VALUE = Type.String({ pattern: '^([!-~]([ -~]*[!-~])?)?$', maxLength: MOST_ADDED_BYTES });
const WEIGHT = Type.Integer({ minimum: 0, maximum: 1000 });
const HASH = Type.String({ pattern: HASH_KEY });

const mapOf = <T extends Parameters<typeof Type.Array>[0]>(items: T) =>
  Type.Unsafe<Record<string, Static<T>>>({
    type: 'object',
    additionalProperties: items,
    maxProperties: MAX_LIST,
  });

const VALUE_MATCH = Type.Unsafe<string | { regex: string } | { present: boolean }>({
  anyOf: [text(), object({ regex: text({ minLength: 1 }) }), object({ present: Type.Boolean() })],
});

const HEAD_MATCH = {
  host: Type.Optional(list(text({ format: 'host-pattern' }))),
  path: Type.Optional(list(text())),
  path_prefix: Type.Optional(list(text())),
  path_regex: Type.Optional(list(text({ minLength: 1 }))),
  method: Type.Optional(list(text())),
  headers: Type.Optional(mapOf(VALUE_MATCH)),
  query: Type.Optional(mapOf(VALUE_MATCH)),
  cookie: Type.Optional(mapOf(VALUE_MATCH)),
  client: Type.Optional(list(text({ format: 'network' }))),
  listener: Type.Optional(list(NAME)),
};

const ROUTE = object({
  name: Type.Optional(NAME),
  match: Type.Optional(object({ ...HEAD_MATCH, not: Type.Optional(object(HEAD_MATCH)) })),
  pool: Type.Optional(NAME),
  split: Type.Optional(
    object({ pools: list(object({ name: NAME, weight: WEIGHT })), by: Type.Optional(HASH) }),
  ),
  respond: Type.Optional(
    object({
      status: Type.Integer({ minimum: 200, maximum: 599 }),
      headers: Type.Unsafe<Record<string, string>>({
        type: 'object',
        propertyNames: FIELD,
        additionalProperties: VALUE,
        maxProperties: MAX_LIST,
      }),
      body: Type.String({ maxLength: MAX_BODY_CHARACTERS }),
    }),
  ),
  redirect: Type.Optional(
    object({ to: text({ minLength: 1 }), status: Type.Integer({ minimum: 300, maximum: 399 }) }),
  ),
  deny: Type.Optional(object({ status: Type.Integer({ minimum: 400, maximum: 599 }) })),
  edits: Type.Optional(
    object({
      set: Type.Array(Type.Tuple([FIELD, VALUE]), { maxItems: MOST_ADDED_FIELDS - 1 }),
      remove: list(FIELD),
      strip_prefix: Type.Optional(text({ pattern: '^/' })),
      request_id: Type.Optional(FIELD),
    }),
  ),
});

const POOL = object({
  name: NAME,
  /** Whether this agent is a backend of it, with a weight. */
  here: Type.Boolean(),
  /** What its balancer goes by where requests of one client may differ in it. */
  hash: Type.Optional(HASH),
  /** Name of the cookie with the name of a session's backend. */
  sticky: Type.Optional(FIELD),
  fallback: Type.Union([Type.Literal('proxy'), Type.Literal('refuse')]),
  /** `origin`: where requests can be relayed to. */
  backends: list(
    object({
      name: NAME,
      weight: WEIGHT,
      origin: Type.Optional(text({ format: 'origin' })),
    }),
  ),
});

const LISTENER = object({
  name: NAME,
  address: text({ format: 'address' }),
  port: Type.Integer({ minimum: 1, maximum: 65_535 }),
  routing: Type.Union([Type.Literal('per-request'), Type.Literal('forward'), Type.Literal('per-connection')]),
});

const TABLE = object({
  layout: Type.Literal(LAYOUT),
  /** What the front calls this agent, in all pools. */
  self: NAME,
  /** Of the longest head, as the front takes them. */
  head_bytes: Type.Integer({ minimum: 128, maximum: 65_536 }),
  listeners: list(LISTENER),
  pools: list(POOL),
  routes: list(ROUTE, MAX_ROUTES),
});

export type TablePool = Static<typeof POOL>;
export type TableListener = Static<typeof LISTENER>;

export interface RoutingTable {
  readonly self: string;
  readonly head_bytes: number;
  readonly listeners: readonly TableListener[];
  readonly pools: readonly TablePool[];
  readonly routes: readonly RouteConfig[];
}

const isTable = checker(TABLE);

/** The text of a front's routes, which is the same for all of its agents. */
export function encodeRoutes(routes: readonly RouteConfig[]): string {
  return JSON.stringify(routes);
}

/** The payload with routes that are encoded already; undefined where it would be too long to send. */
export function encodeRoutingTable(
  { self, head_bytes, listeners, pools }: Omit<RoutingTable, 'routes'>,
  routes: string,
): string | undefined {
  const rest = JSON.stringify({ layout: LAYOUT, self, head_bytes, listeners, pools });
  const whole = `${rest.slice(0, -1)},"routes":${routes}}`;
  return Buffer.byteLength(whole) > MAX_ROUTES_BYTES ? undefined : whole;
}

/** Throws a ProtocolError that says what is wrong with it. */
export function decodeRoutingTable(payload: string): RoutingTable {
  let table: unknown;
  try {
    table = JSON.parse(payload);
  } catch {
    throw new ProtocolError('routes: not JSON');
  }
  const objection = isTable(table);
  if (objection !== undefined) throw new ProtocolError(`routes: ${objection}`);
  const checked = table as RoutingTable;
  checkRoutes(checked.routes);
  return checked;
}

function checkRoutes(routes: readonly RouteConfig[]): void {
  let patterns = 0;
  for (const { match, pool, split, respond, redirect, deny, edits } of routes) {
    if ([pool, split, respond, redirect, deny].filter((action) => action !== undefined).length !== 1)
      throw new ProtocolError('routes: a route without an action, or with two');
    if (edits && addedBytes(edits) > MOST_ADDED_BYTES)
      throw new ProtocolError(`routes: edits that add more than ${MOST_ADDED_BYTES} bytes`);
    for (const pattern of patternsOf(match)) {
      if (++patterns > MAX_PATTERNS)
        throw new ProtocolError(`routes: more than ${MAX_PATTERNS} regular expressions`);
      const fault = faultOf(pattern);
      if (fault !== undefined) throw new ProtocolError(`routes: no regular expression: ${fault}`);
    }
  }
}

function* patternsOf(match: RouteConfig['match']): Generator<string> {
  for (const part of [match, match?.not]) {
    yield* part?.path_regex ?? [];
    for (const values of [part?.headers, part?.query, part?.cookie]) {
      for (const value of Object.values(values ?? {})) {
        if (typeof value === 'object' && 'regex' in value) yield value.regex;
      }
    }
  }
}
