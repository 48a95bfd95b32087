/** One accepting thread, assembled: listeners, routing, handoffs and the fallback, sharing nothing with its siblings. */
import type { IncomingMessage } from 'node:http';
import type { Logger } from 'pino';
import { formatEndpoint } from '../config/addresses';
import type { BackendConfig, PoolConfig, RouteConfig } from '../config/model';
import { LogThrottle } from '../observe/log-throttle';
import type { StatsSnapshot } from '../observe/stats';
import type { RoutableHead } from '../peek/head';
import type { Destination } from '../relay/server';
import { DumpBuffer } from '../repair/dump';
import { useFreezeFilter } from '../repair/freeze';
import { formatFlow } from '../kernel/flow';
import { Router } from '../route/router';
import type { FlowTable, NextHop } from '../steer/flow-table';
import { AgentAddresses } from '../wire/dial';
import { Acceptor } from './acceptor';
import { shareOf, type Capacity } from './capacity';
import { Backend, HANDOFF_RESULTS } from './backend';
import { Counters } from './counters';
import { Exhaustion, RESOURCES, type Resource } from './exhaustion';
import { FailureStreak } from './failure-streak';
import { Fallback } from './fallback';
import { Handoffs } from './handoff';
import { HandoffIds } from './handoff-ids';
import type { BackendFacts, Failing, Recovered, Standing, WorkerData, WorkerStatus } from './messages';
import { Offers } from './offers';
import { isFollowed, OneRequest } from './one-request';
import { goesByLoad, Pool } from './pool';
import { ReleaseQueue } from './release-queue';
import { RequestHead } from './request-head';

/** How long a starting thread waits for its channels: an agent that is there answers in milliseconds. */
const CHANNEL_PATIENCE_MS = 500;
/** How often a stopping thread looks whether its last connection is gone. */
const STOP_POLL_MS = 20;

export interface AcceptingThreadEvents {
  /** The channel to the agent at this address (formatEndpoint) broke. */
  channelLost(agent: string): void;
  failing(what: Failing): void;
  recovered(what: Recovered): void;
}

export class AcceptingThread {
  readonly #ids = new HandoffIds();
  readonly #dumped = new DumpBuffer();
  readonly #released = new ReleaseQueue();
  readonly #accepted = new Counters();
  readonly #refusals = new Counters();
  readonly #fallbacks = new Counters();
  readonly #agents: AgentAddresses;
  readonly #offers = new Map<string, Offers>();
  readonly #pools = new Map<string, Pool>();
  readonly #router: Router<RouteConfig>;
  readonly #acceptor: Acceptor;
  readonly #handoffs: Handoffs;
  readonly #fallback: Fallback;
  readonly #throttle = new LogThrottle();
  readonly #exhaustion: Exhaustion;
  readonly #capacity: Capacity;
  #deadline = Infinity;

  constructor(
    private readonly data: WorkerData,
    flows: FlowTable,
    private readonly logger: Logger,
    private readonly events: AcceptingThreadEvents,
  ) {
    const { config } = data;
    this.#capacity = shareOf(data.capacity, config.workers);
    useFreezeFilter(data.freezeFilter);
    this.#agents = new AgentAddresses(config.control);
    this.#exhaustion = new Exhaustion(logger);
    this.#router = new Router(config.routes);
    this.#fallback = new Fallback(
      (request, tried) => this.#destinationOf(request, tried),
      () => this.#acceptor.ended(),
    );
    const oneRequest = new OneRequest(config.limits.head_bytes);
    this.#handoffs = new Handoffs(
      flows,
      this.#released,
      this.#ids.epoch,
      oneRequest,
      this.#dumped,
      config.timeouts.prepare,
      {
        done: () => this.#acceptor.ended(),
        failed: (connection, pool, reason, detail) => {
          this.#fallbacks.add(reason);
          const flow = formatFlow(connection.flow);
          if (reason === 'flow_table_full') this.#exhausted('flows', detail);
          else if (pool.saturated) this.#exhausted('offers', detail);
          else
            this.#logSometimes(reason, { flow, pool: pool.name, reason, detail }, 'no handoff, falling back');
          this.#fallback.serve(connection, pool);
        },
        lost: (connection, detail) => {
          this.#acceptor.ended();
          this.#logSometimes('lost', { flow: formatFlow(connection.flow), detail }, 'connection lost');
        },
        channelLost: ({ endpoint }) => this.events.channelLost(formatEndpoint(endpoint)),
        rejected: (backend, reason) =>
          this.#logSometimes(
            `rejected ${backend.name} ${reason}`,
            { backend: backend.name, reason },
            'offer rejected',
          ),
      },
    );
    config.pools.forEach((pool, index) => {
      const facts = data.facts[index] ?? [];
      const backends = pool.backends.map((backend, at) => this.#makeBackend(pool, backend, facts[at]));
      this.#pools.set(pool.name, new Pool(pool, backends));
    });
    this.#acceptor = this.#makeAcceptor();
  }

  /** Opens channels; `accept` follows. */
  async open(): Promise<void> {
    // The first connections should find the agents that are there, but must not wait for those that are not.
    const settled = Promise.all([...this.#offers.values()].map((offers) => offers.start()));
    await Promise.race([settled, new Promise((resolve) => setTimeout(resolve, CHANNEL_PATIENCE_MS).unref())]);
  }

  /** Takes connections from here on; throws an Error that names the listener. */
  accept(): void {
    this.#acceptor.start(this.data.listeners);
  }

  setStanding(pool: string, backend: string, standing: Standing): void {
    this.#pools
      .get(pool)
      ?.backends.find(({ name }) => name === backend)
      ?.stand(standing);
  }

  status(): WorkerStatus {
    let offers = 0;
    for (const each of this.#offers.values()) offers += each.pending;
    return {
      active: this.#acceptor.active,
      releasing: this.#released.size,
      relayedBytes: this.#fallback.relayedBytes,
      offers,
    };
  }

  stats(): StatsSnapshot {
    const pools = [...this.#pools.values()];
    const counted = (name: string, label: string, counters: Counters): StatsSnapshot['samples'] =>
      [...counters.entries()].map(([key, value]) => ({ name, labels: { [label]: key }, value }));
    return {
      samples: [
        ...counted('connections_accepted_total', 'listener', this.#accepted),
        ...counted('heads_refused_total', 'reason', this.#refusals),
        ...counted('fallbacks_total', 'reason', this.#fallbacks),
        ...RESOURCES.map((resource) => ({
          name: 'exhausted_total',
          labels: { resource },
          value: this.#exhaustion.counts[resource],
        })),
        ...pools.flatMap((pool) =>
          pool.backends.flatMap((backend) =>
            HANDOFF_RESULTS.map((result) => ({
              name: 'handoffs_total',
              labels: { pool: pool.name, backend: backend.name, result },
              value: backend.results[result],
            })),
          ),
        ),
      ],
      histograms: pools.map((pool) =>
        pool.handoffDuration.sample('handoff_duration_seconds', { pool: pool.name }),
      ),
    };
  }

  /**
   * Takes no more connections and resolves when those that are here have come to their end, or are given up because of
   * `hurry`. Nobody will accept at the addresses in `last` any more.
   */
  async retire(last: readonly string[]): Promise<void> {
    this.#fallback.retire();
    this.#acceptor.stopListening(new Set(last));
    while (this.#acceptor.active + this.#released.size > 0 && performance.now() < this.#deadline) {
      if (this.#deadline < Infinity) this.#fallback.closeIdle();
      await new Promise((resolve) => setTimeout(resolve, STOP_POLL_MS));
    }
    this.#acceptor.stop();
    this.#handoffs.stop();
    this.#released.stop();
    this.#exhaustion.stop();
    for (const offers of this.#offers.values()) offers.stop();
    await this.#fallback.destroy();
  }

  /** A retiring thread closes idle connections from now on, and gives up what is left after `graceMs`. */
  hurry(graceMs: number): void {
    this.#deadline = Math.min(this.#deadline, performance.now() + graceMs);
  }

  #otherFiles(): number {
    return this.#fallback.originSockets + this.#released.size;
  }

  #makeAcceptor(): Acceptor {
    const { limits, timeouts } = this.data.config;
    const options = { headBytes: limits.head_bytes, headMs: timeouts.head, capacity: this.#capacity };
    return new Acceptor(options, this.#dumped, {
      otherFiles: () => this.#otherFiles(),
      accepted: (listener) => this.#accepted.add(listener),
      head: (connection, head, received, now) => {
        const pool = this.#poolFor(head);
        if (pool === undefined) {
          this.#refusals.add('no_route');
          this.#fallback.refuse(connection, 404);
        } else if (connection.oneRequest && pool.proxies && isFollowed(head, received)) {
          // An agent would answer the first of these requests alone; here each one is routed.
          this.#fallbacks.add('pipelined');
          this.#fallback.serve(connection, pool);
        } else {
          this.#handoffs.begin(connection, pool, pool.keyOf(head, connection), received, now);
        }
      },
      refused: (connection, status, reason) => {
        this.#refusals.add(reason);
        this.#fallback.refuse(connection, status);
      },
      silent: () => this.#refusals.add('timeout'),
      exhausted: (resource, cause) => this.#exhausted(resource, cause),
      evicted: () => this.#refusals.add('evicted'),
      crowded: () => this.#fallback.closeIdleSometimes(),
    });
  }

  #exhausted(resource: Resource, cause: string): void {
    this.#exhaustion.met(resource, () => ({
      cause,
      connections: this.#acceptor.active,
      waiting_for_head: this.#acceptor.waiting,
      other_files: this.#otherFiles(),
      limits: this.#capacity,
    }));
  }

  #makeBackend(pool: PoolConfig, config: BackendConfig, facts?: BackendFacts): Backend {
    if (facts === undefined) throw new Error(`no facts about backend ${config.name}`);
    const hops: { 4?: NextHop; 6?: NextHop } = {};
    for (const hop of facts.hops) {
      hops[hop.family] = { address: Buffer.from(hop.address), ifindex: hop.ifindex };
    }
    const options = { ...config, number: facts.number, hops };
    const who = { pool: pool.name, backend: config.name };
    const streak = new FailureStreak(pool.outliers?.failures ?? Infinity, {
      failing: (count, result) => this.events.failing({ ...who, failures: { count, result } }),
      recovered: () => this.events.recovered(who),
    });
    return new Backend(options, this.#offersTo(config), facts.standing, streak);
  }

  /** Pools that share an agent share its channel. */
  #offersTo(backend: BackendConfig): Offers {
    const key = `${backend.agent.host}:${backend.agent.port}`;
    const known = this.#offers.get(key);
    if (known !== undefined) return known;
    const { node, pools } = this.data.config;
    const needsLoad = pools.some((pool) => goesByLoad(pool, backend.name));
    const made = new Offers(this.#agents.of(backend), node, this.#ids, this.#handoffs, needsLoad);
    this.#offers.set(key, made);
    return made;
  }

  #poolFor(head: RoutableHead): Pool | undefined {
    const rule = this.#router.match(head);
    return rule === undefined ? undefined : this.#pools.get(rule.pool);
  }

  /** For a request of a connection that the fallback relays. */
  #destinationOf(request: IncomingMessage, tried: readonly string[]): Destination {
    const head = new RequestHead(request);
    const pool = this.#poolFor(head);
    if (pool !== undefined) return pool.pickOrigin(pool.keyOf(head, head), tried) ?? 503;
    this.#refusals.add('no_route');
    return 404;
  }

  #logSometimes(kind: string, fields: Record<string, unknown>, message: string): void {
    if (this.#throttle.allows(kind)) this.logger.warn(fields, message);
  }
}
