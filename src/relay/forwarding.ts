import { randomBytes } from 'node:crypto';
import { hashKey, type Hashable } from '../balance/hash-key';
import { WeightedSplit } from '../balance/weighted-split';
import type { RouteConfig, SplitConfig } from '../config/model';
import type { Asker, HeadChanges, RoutableHead } from '../peek/head';
import { changesTo, type HeadEdits } from '../route/head-edits';
import { encodeNames } from '../wire/handoff-details';

/** 32 hexadecimal digits, as in a trace id of W3C Trace Context. */
const ID_BYTES = 16;

/** A pool, as whoever routes to it sees it. */
export interface NamedPool {
  readonly name: string;
}

/** Which of the pools that share requests by chance gets one; absent, chance does decide. */
export type Chance<P> = (pools: readonly P[]) => P | undefined;

/** What becomes of a request that goes to a pool. */
export class Forwarding<P extends NamedPool> {
  /** By pool; none until an agent asks for them. */
  readonly #names = new Map<P, Buffer>();

  constructor(
    /** Of the route. */
    private readonly name: string,
    readonly poolOf: (head: Hashable, asker: Asker) => P,
    private readonly edits: HeadEdits | undefined,
  ) {}

  /** The names of the route and of one of its pools, for the details of a COMMIT. */
  namesWith(pool: P): Buffer {
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
export function forwardingOf<P extends NamedPool>(
  { name, pool, split, edits }: RouteConfig,
  index: number,
  pools: ReadonlyMap<string, P>,
  chance?: Chance<P>,
): Forwarding<P> {
  const find = (name: string): P => {
    const found = pools.get(name);
    if (found === undefined) throw new Error(`route to pool ${name}: there is none`);
    return found;
  };
  // No name that a configuration can give has a "#".
  const called = name ?? `${split ? 'split' : (pool ?? '')}#${index}`;
  if (split) return new Forwarding(called, chooser(split, find, chance), edits);
  const only = find(pool ?? '');
  return new Forwarding(called, () => only, edits);
}

function chooser<P extends NamedPool>(
  { pools, by }: SplitConfig,
  find: (name: string) => P,
  chance?: Chance<P>,
): Forwarding<P>['poolOf'] {
  const shares = pools.map(({ name, weight }) => ({ name, weight, pool: find(name) }));
  const weighted = new WeightedSplit(shares);
  if (by !== undefined) {
    const keyOf = hashKey(by);
    return (head, asker) => weighted.of(keyOf(head, asker)).pool;
  }
  const eligible = shares.filter(({ weight }) => weight > 0).map(({ pool }) => pool);
  return () => chance?.(eligible) ?? weighted.any().pool;
}

function newId(): string {
  return randomBytes(ID_BYTES).toString('hex');
}
