import { randomBytes } from 'node:crypto';
import { hashKey, type Hashable } from '../balance/hash-key';
import { WeightedSplit } from '../balance/weighted-split';
import type { RouteConfig, SplitConfig } from '../config/model';
import type { Asker, HeadChanges, RoutableHead } from '../peek/head';
import { changesTo, type HeadEdits } from '../route/head-edits';
import { encodeNames } from '../wire/handoff-details';
import type { Pool } from './pool';

/** 32 hexadecimal digits, as in a trace id of W3C Trace Context. */
const ID_BYTES = 16;

/** What becomes of a request that goes to a pool. */
export class Forwarding {
  /** By pool; none until an agent asks for them. */
  readonly #names = new Map<Pool, Buffer>();

  constructor(
    /** Of the route. */
    private readonly name: string,
    readonly poolOf: (head: Hashable, asker: Asker) => Pool,
    private readonly edits: HeadEdits | undefined,
  ) {}

  /** The names of the route and of one of its pools, for the details of a COMMIT. */
  namesWith(pool: Pool): Buffer {
    let names = this.#names.get(pool);
    if (names === undefined) this.#names.set(pool, (names = encodeNames(this.name, pool.name)));
    return names;
  }

  /** What is changed of a head; undefined where nothing is. */
  changesTo(head: RoutableHead): HeadChanges | undefined {
    return this.edits === undefined ? undefined : changesTo(head, this.edits, newId);
  }
}

/** Where a route leads to; `index` is its place. Throws an Error for a pool that there is not, or a route that leads to none. */
export function forwardingOf(
  { name, pool, split, edits }: RouteConfig,
  index: number,
  pools: ReadonlyMap<string, Pool>,
): Forwarding {
  const find = (name: string): Pool => {
    const found = pools.get(name);
    if (found === undefined) throw new Error(`route to pool ${name}: there is none`);
    return found;
  };
  // No name that a configuration can give has a "#".
  const called = name ?? `${split ? 'split' : (pool ?? '')}#${index}`;
  if (split) return new Forwarding(called, chooser(split, find), edits);
  const only = find(pool ?? '');
  return new Forwarding(called, () => only, edits);
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
