import { LogThrottle } from '../observe/log-throttle';

/** What a front can run out of: values of the label `resource` of exhausted_total. */
export const RESOURCES = ['connections', 'files', 'memory', 'flows', 'offers'] as const;
export type Resource = (typeof RESOURCES)[number];

/** What becomes of connections meanwhile, and what to do about it. */
const ADVICE: Readonly<Record<Resource, string>> = {
  connections:
    'as many connections as the limit allows: the oldest that wait for their head are closed in favour of new ones; ' +
    'raise limits.connections, and the limit of open files (LimitNOFILE, ulimit -n) if that is what caps it',
  files:
    'descriptors run out: the oldest connections that wait for their head are closed in favour of new ones; ' +
    'raise the limit of open files (LimitNOFILE, ulimit -n)',
  memory:
    'the kernel has no memory for another connection: accepting pauses; lower limits.connections or add memory',
  flows:
    'the flow table is full: connections are relayed instead of handed off; ' +
    'raise steering.max_flows, which takes effect on a new table: remove the pin directory while no flow is live',
  offers:
    'every agent of the pool has as many offers unanswered as it takes: connections are relayed instead of handed off; ' +
    'see why the agents are slow, or add backends',
};

/** Without an event for so long it is over: longer than a client's second attempt takes, so that lines do not alternate. */
const OVER_MS = 5000;
const CHECK_MS = 1000;

interface Episode {
  readonly since: number;
  lastAt: number;
  events: number;
}

export interface ExhaustionLog {
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
}

/**
 * What an accepting thread has run out of. Counts each connection that met it, says so in the log, one line per interval
 * and resource, and says when it is over.
 */
export class Exhaustion {
  readonly counts: Record<Resource, number> = { connections: 0, files: 0, memory: 0, flows: 0, offers: 0 };
  readonly #episodes = new Map<Resource, Episode>();
  readonly #throttle = new LogThrottle();
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly log: ExhaustionLog) {}

  /** A connection met it; `fields` (asked for when a line is written) say how much there is. */
  met(resource: Resource, fields: () => object): void {
    const now = performance.now();
    const episode = this.#episodes.get(resource) ?? { since: now, lastAt: now, events: 0 };
    episode.lastAt = now;
    episode.events += 1;
    this.counts[resource] += 1;
    this.#episodes.set(resource, episode);
    this.#timer ??= setInterval(() => this.#check(), CHECK_MS).unref();
    if (this.#throttle.allows(resource))
      this.log.warn({ resource, ...fields(), events: episode.events }, ADVICE[resource]);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #check(): void {
    const now = performance.now();
    for (const [resource, { since, lastAt, events }] of this.#episodes) {
      if (now - lastAt < OVER_MS) continue;
      this.#episodes.delete(resource);
      const seconds = Math.round((lastAt - since) / 100) / 10;
      this.log.info({ resource, events, seconds }, 'no longer exhausted');
    }
    if (this.#episodes.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
