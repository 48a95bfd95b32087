/**
 * Where a request of an adopted connection belongs, by the front's rules. Pure: a head and what is known of its connection
 * in, a verdict out.
 */
import type { Asker, HeadChanges, RoutableHead } from '../peek/head';
import { Answering } from '../relay/answering';
import type { Destination } from '../relay/destination';
import type { Rules, RulesPool, Served } from './rules';

export type Verdict =
  /** This server's, as it is or with changes. */
  | { readonly is: 'here'; readonly changes: HeadChanges | undefined; readonly served: Served }
  /** Another backend's; `relayed` says where it goes if the connection cannot be handed back: ask once, for they take turns. */
  | {
      readonly is: 'elsewhere';
      readonly pool: string;
      readonly changes: HeadChanges | undefined;
      readonly relayed: () => Destination;
      /** If it is to be served here all the same, because no other backend takes it. */
      readonly served: Served;
    }
  /** Nobody's: this is what the client gets. */
  | { readonly is: 'answer'; readonly destination: Destination };

/** `last`: what this server was given before on the same connection. */
export function judge(rules: Rules, head: RoutableHead, asker: Asker, last: Served | undefined): Verdict {
  const action = rules.routes.actionFor(head, asker);
  if (action === undefined) return { is: 'answer', destination: 404 };
  if (action instanceof Answering) return { is: 'answer', destination: action.answerTo(head) };
  const pool = action.poolOf(head, asker);
  const key = pool.keyOf(head, asker);
  const session = pool.sessionOf(head);
  const served = key === '' ? pool.served : { pool: pool.name, key };
  const changes = action.changesTo(head);
  if (pool.here && belongs(rules, pool, key, session, last)) return { is: 'here', changes, served };
  const relayed = relayedBy(pool, key, session, changes);
  return { is: 'elsewhere', pool: pool.name, changes, relayed, served };
}

function relayedBy(
  pool: RulesPool,
  key: string,
  session: string | undefined,
  changes: HeadChanges | undefined,
): () => Destination {
  return () => {
    const forward = pool.relayTo(key, session);
    return forward === undefined ? 503 : { ...forward, changes };
  };
}

/** Whether a request of a pool of this agent is this agent's. */
function belongs(
  { self }: Rules,
  pool: RulesPool,
  key: string,
  session: string | undefined,
  last: Served | undefined,
): boolean {
  if (session !== undefined) return session === self;
  // Where the backend that its key prefers is away, the front has led the last one here.
  if (last?.pool === pool.name && last.key === key) return true;
  return pool.prefersSelf(key);
}
