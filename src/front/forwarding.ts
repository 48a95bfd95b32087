import { randomBytes } from 'node:crypto';
import { hashKey, type Hashable } from '../balance/hash-key';
import { WeightedSplit } from '../balance/weighted-split';
import type { RouteConfig, SplitConfig } from '../config/model';
import type { Asker, HeadChanges, RoutableHead } from '../peek/head';
import { changesTo, type HeadEdits } from '../route/head-edits';
import type { Pool } from './pool';

/** 32 hexadecimal digits, as in a trace id of W3C Trace Context. */
const ID_BYTES = 16;

/** What becomes of a request that goes to a pool. */
export class Forwarding {
  constructor(
    readonly poolOf: (head: Hashable, asker: Asker) => Pool,
    private readonly edits: HeadEdits | undefined,
  ) {}

  /** What is changed of a head; undefined where nothing is. */
  changesTo(head: RoutableHead): HeadChanges | undefined {
    return this.edits === undefined ? undefined : changesTo(head, this.edits, newId);
  }
}

/** Where a route leads to. Throws an Error for a pool that there is not, or a route that leads to none. */
export function forwardingOf(
  { pool, split, edits }: RouteConfig,
  pools: ReadonlyMap<string, Pool>,
): Forwarding {
  const find = (name: string): Pool => {
    const found = pools.get(name);
    if (found === undefined) throw new Error(`route to pool ${name}: there is none`);
    return found;
  };
  if (split) return new Forwarding(chooser(split, find), edits);
  const only = find(pool ?? '');
  return new Forwarding(() => only, edits);
}

function chooser({ pools, by }: SplitConfig, find: (name: string) => Pool): Forwarding['poolOf'] {
  const shares = pools.map(({ name, weight }) => ({ name, weight, pool: find(name) }));
  const weighted = new WeightedSplit(shares);
  if (by === undefined) return () => weighted.any().pool;
  const keyOf = hashKey(by);
  return (head, asker) => weighted.of(keyOf(head, asker)).pool;
}

function newId(): string {
  return randomBytes(ID_BYTES).toString('hex');
}
