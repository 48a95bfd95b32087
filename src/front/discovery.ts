/**
 * The pools whose backends DNS knows. A configuration as loaded has none in them; they are put in from what is known when a
 * generation starts, and a change of that is one more generation.
 *
 *   prepare   asks for the names of a configuration beside those that are asked for already
 *   commit    the configuration is in use: others are asked for no more          abandon   the undo of prepare
 */
import type { Logger } from 'pino';
import type { BackendConfig, FrontConfig, PoolConfig } from '../config/model';
import { withDiscovered, type LeftOut } from '../discovery/discovered';
import { DnsResolver } from '../discovery/dns-resolver';
import type { Question } from '../discovery/lookup';
import type { Member } from '../discovery/member';
import { DISCOVERY_RESULTS, Watch } from '../discovery/watch';
import type { Sample } from '../observe/stats';
import type { NextHops } from '../steer/next-hops';
import { Counters } from './counters';

/** How long a start waits for first answers: a resolver that is there gives them in milliseconds. */
const PATIENCE_MS = 1000;

/** What a successor has to know of a pool's name; JSON. */
export interface KnownMembers {
  readonly pool: string;
  /** What was asked, and whom: something else has other answers. */
  readonly question: string;
  readonly members: readonly Member[];
}

/** A pool whose backends are others than before. */
export interface PoolChange {
  readonly pool: string;
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** The same by name, with another weight or address. */
  readonly changed: readonly string[];
}

interface Asked {
  readonly watch: Watch;
  readonly question: string;
}

export class Discovery {
  #active: ReadonlyMap<string, Asked> = new Map();
  #prepared: ReadonlyMap<string, Asked> = new Map();
  readonly #counters = new Map<string, Counters>();
  /** Why backends were left out, as the log was told. */
  #leftOut: ReadonlyMap<string, string> = new Map();

  /**
   * @param resolved called when what is known may have changed.
   * @param bequest of the front before.
   */
  constructor(
    private readonly logger: Logger,
    private readonly resolved: () => void,
    private bequest: readonly KnownMembers[] = [],
  ) {}

  /** Resolves when something is known of all names, or nobody has answered for a while; then the log says so. */
  async prepare(config: FrontConfig): Promise<void> {
    const discovering = config.pools.filter(({ discovery }) => discovery !== undefined);
    this.#prepared = new Map(discovering.map((pool) => [pool.name, this.#ask(config, pool)]));
    const watches = [...this.#prepared.values()].map(({ watch }) => watch);
    const unknown = watches.filter(({ members }) => members === undefined);
    await Promise.race([Promise.all(unknown.map(({ settled }) => settled)), after(PATIENCE_MS)]);
    for (const [pool, { watch }] of this.#prepared) {
      if (watch.members !== undefined) continue;
      const { dns } = watch.question;
      this.logger.error(
        { pool, dns },
        'no backends are known of this pool: its requests get 503 until DNS answers',
      );
    }
  }

  commit(): void {
    for (const { watch } of this.#active.values()) watch.stop();
    this.#active = this.#prepared;
    this.#prepared = new Map();
    // Nobody will ask this late what was known then.
    this.bequest = [];
  }

  abandon(): void {
    for (const { watch } of this.#prepared.values()) watch.stop();
    this.#prepared = new Map();
  }

  stop(): void {
    this.abandon();
    this.commit();
  }

  /** A configuration with the backends that are known now; those that cannot be used are left out, and the log says why. */
  fill(config: FrontConfig, hops: NextHops): FrontConfig {
    const membersOf = (pool: string): readonly Member[] =>
      (this.#prepared.get(pool) ?? this.#active.get(pool))?.watch.members ?? [];
    hops.ask(config.pools.flatMap((pool) => viasOf(pool, membersOf(pool.name))));
    const filled = withDiscovered(config, membersOf, ({ via }) => {
      for (const { host } of via) {
        const objection = hops.objection(host);
        if (objection !== undefined) return objection;
      }
      return undefined;
    });
    this.#logLeftOut(filled.leftOut);
    return filled.config;
  }

  /** For a successor. */
  get known(): KnownMembers[] {
    return [...this.#active].flatMap(([pool, { watch, question }]) =>
      watch.members === undefined ? [] : [{ pool, question, members: watch.members }],
    );
  }

  samples(): Sample[] {
    return [...this.#counters].flatMap(([pool, counters]) =>
      DISCOVERY_RESULTS.map((result) => ({
        name: 'discovery_total',
        labels: { pool, result },
        value: counters.get(result),
      })),
    );
  }

  #ask(config: FrontConfig, { name: pool, discovery }: PoolConfig): Asked {
    if (discovery === undefined) throw new Error(`pool ${pool} discovers nothing`);
    const question = questionOf(config, discovery.dns, discovery.records);
    const { resolver, min_interval: minMs, max_interval: maxMs } = discovery;
    const key = JSON.stringify([question, resolver]);
    const counters = this.#counters.get(pool) ?? new Counters();
    this.#counters.set(pool, counters);
    const options = { pool, question, minMs, maxMs, makeResolver: () => new DnsResolver(resolver) };
    const watch = new Watch(options, this.#membersFor(pool, key), this.logger, (result) => {
      counters.add(result);
      if (result === 'ok') this.resolved();
    });
    watch.start();
    return { watch, question: key };
  }

  /** What is known of a name before it is asked for: from before a reload, or a restart. */
  #membersFor(pool: string, question: string): readonly Member[] | undefined {
    const asked = this.#active.get(pool);
    if (asked?.question === question) return asked.watch.members;
    return this.bequest.find((known) => known.pool === pool && known.question === question)?.members;
  }

  #logLeftOut(leftOut: readonly LeftOut[]): void {
    const before = this.#leftOut;
    this.#leftOut = new Map(leftOut.map(({ pool, backend, cause }) => [`${pool} ${backend}`, cause]));
    for (const each of leftOut) {
      if (before.get(`${each.pool} ${each.backend}`) === each.cause) continue;
      this.logger.error(each, 'a discovered backend cannot be used and is left out');
    }
  }
}

/** What has changed in the pools that discover their backends, between two configurations that are the same otherwise. */
export function changesBetween(before: FrontConfig, now: FrontConfig): PoolChange[] {
  return now.pools.flatMap(({ name: pool, backends }, index) => {
    const old = new Map(before.pools[index]?.backends.map((backend) => [backend.name, backend]));
    const names = new Set(backends.map(({ name }) => name));
    const added = backends.filter(({ name }) => !old.has(name));
    const removed = [...old.keys()].filter((name) => !names.has(name));
    const changed = backends.filter(({ name, ...rest }) => {
      const known = old.get(name);
      return known !== undefined && JSON.stringify(known) !== JSON.stringify({ name, ...rest });
    });
    if (added.length + removed.length + changed.length === 0) return [];
    return [{ pool, added: added.map(nameOf), removed, changed: changed.map(nameOf) }];
  });
}

function nameOf({ name }: BackendConfig): string {
  return name;
}

function questionOf({ listeners }: FrontConfig, dns: string, records: Question['records']): Question {
  const families = new Set(listeners.map(({ bind }) => bind.family));
  const loopback = listeners.some(({ bind: { host } }) => host.startsWith('127.') || host === '::1');
  return { dns, records, families: ([4, 6] as const).filter((family) => families.has(family)), loopback };
}

/** Addresses of the next hops that discovered backends would have. */
function viasOf({ discovery }: PoolConfig, members: readonly Member[]): string[] {
  if (discovery === undefined) return [];
  const { via } = discovery;
  return (via === undefined ? members.flatMap(({ addresses }) => addresses) : via).map(({ host }) => host);
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
