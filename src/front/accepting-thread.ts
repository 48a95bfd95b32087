/** One accepting thread, assembled: listeners, routing, handoffs and the fallback, sharing nothing with its siblings. */
import type { IncomingMessage } from 'node:http';
import type { Logger } from 'pino';
import { formatEndpoint } from '../config/addresses';
import type { BackendConfig, PoolConfig } from '../config/model';
import { LogThrottle } from '../observe/log-throttle';
import { mergeStats, type StatsSnapshot } from '../observe/stats';
import { NO_HEAD, type RoutableHead } from '../peek/head';
import type { Http1Peek } from '../peek/http1';
import { Answering } from '../relay/answering';
import type { Answer, Destination } from '../relay/destination';
import { RequestHead } from '../relay/request-head';
import { Routes } from '../relay/routes';
import { DumpBuffer } from '../repair/dump';
import { useFreezeFilter } from '../repair/freeze';
import { formatFlow } from '../kernel/flow';
import { addedBytes } from '../route/head-edits';
import type { FlowTable, NextHop } from '../steer/flow-table';
import { AgentAddresses } from '../wire/dial';
import type { RejectReason } from '../wire/frames';
import { Acceptor } from './acceptor';
import { AgentTables } from './agent-tables';
import { shareOf, type Capacity } from './capacity';
import { Backend, HANDOFF_RESULTS } from './backend';
import { ConnectionCounts } from './connection-counts';
import { Counters } from './counters';
import type { Connection } from './connection';
import { Exhaustion, RESOURCES, type Resource } from './exhaustion';
import { FailureStreak } from './failure-streak';
import { Fallback } from './fallback';
import { Handoffs } from './handoff';
import { HandoffIds } from './handoff-ids';
import { HeadEditor } from './head-editor';
import { isFollowed } from './judging';
import { listenersByVip } from './listeners-by-vip';
import type { BackendFacts, Failing, Moved, Recovered, Standing, WorkerData, WorkerStatus } from './messages';
import { MoveCounts } from './move-counts';
import { Moves, type Move, type MoveParts } from './moves';
import { Offers, type OfferEvents } from './offers';
import { goesByLoad, Pool } from './pool';
import { ReleaseQueue } from '../repair/release-queue';

/** How long a starting thread waits for its channels: an agent that is there answers in milliseconds. */
const CHANNEL_PATIENCE_MS = 500;
/** How often a stopping thread looks whether its last connection is gone. */
const STOP_POLL_MS = 20;

export interface AcceptingThreadEvents {
  /** The channel to the agent at this address (formatEndpoint) broke. */
  channelLost(agent: string): void;
  moved(what: Moved): void;
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
  /** By action and code, with a blank between them. */
  readonly #responses = new Counters();
  readonly #agents: AgentAddresses;
  readonly #offers = new Map<string, Offers>();
  readonly #pools = new Map<string, Pool>();
  readonly #routes: Routes<Pool>;
  readonly #tables: AgentTables;
  readonly #acceptor: Acceptor;
  readonly #handoffs: Handoffs;
  readonly #moves: Moves;
  readonly #moveCounts = new MoveCounts();
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
    this.#tables = new AgentTables(config);
    this.#capacity = shareOf(data.capacity, config.workers);
    useFreezeFilter(data.freezeFilter);
    this.#agents = new AgentAddresses(config.control);
    this.#exhaustion = new Exhaustion(logger);
    this.#fallback = new Fallback(
      (request, listener) => this.#destinationOf(request, listener),
      (connection) => this.#acceptor.ended(connection),
    );
    const added = config.routes.reduce((most, { edits }) => Math.max(most, edits ? addedBytes(edits) : 0), 0);
    const editor = new HeadEditor(config.limits.head_bytes, added);
    this.#handoffs = new Handoffs(
      flows,
      this.#released,
      this.#ids.epoch,
      editor,
      this.#dumped,
      config.timeouts.prepare,
      {
        done: (connection) => this.#acceptor.handedOff(connection),
        failed: (connection, pool, reason, detail) => {
          this.#fallbacks.add(reason);
          const flow = formatFlow(connection.flow);
          if (reason === 'flow_table_full') this.#exhausted('flows', detail);
          else if (pool.saturated) this.#exhausted('offers', detail);
          else
            this.#logSometimes(
              reason,
              { flow, pool: pool.name, reason, detail },
              `no handoff, ${connection.raw ? 'connection reset' : 'falling back'}`,
            );
          this.#fallback.serve(connection, pool);
        },
        lost: (connection, detail) => {
          this.#acceptor.ended(connection);
          this.#logSometimes('lost', { flow: formatFlow(connection.flow), detail }, 'connection lost');
        },
        rejected: (backend, reason) => this.#logRejected(backend, reason),
      },
    );
    config.pools.forEach((pool, index) => {
      const facts = data.facts[index] ?? [];
      const backends = pool.backends.map((backend, at) => this.#makeBackend(pool, backend, facts[at]));
      this.#pools.set(pool.name, new Pool(pool, backends));
    });
    this.#routes = new Routes(config.routes, this.#pools);
    const moveParts: MoveParts = {
      flows,
      epoch: this.#ids.epoch,
      pools: this.#pools,
      routes: this.#routes,
      listenerOf: listenersByVip(config.listeners),
      editor,
      dumped: this.#dumped,
      headBytes: config.limits.head_bytes,
      prepareMs: config.timeouts.prepare,
    };
    this.#moves = new Moves(moveParts, {
      moved: (move, backend) => this.#moved(move, backend),
      stayed: ({ reason, pool, backend }, result) => {
        this.#moveCounts.add(reason, result);
        const fields = { reason, result, pool, to: backend };
        this.#logSometimes(`stayed ${reason} ${result}`, fields, 'a connection does not move');
      },
      rejected: (backend, reason) => this.#logRejected(backend, reason),
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
    return mergeStats([this.#moveCounts.stats(), this.#ownStats()]);
  }

  #ownStats(): StatsSnapshot {
    const pools = [...this.#pools.values()];
    const counted = (name: string, label: string, counters: Counters): StatsSnapshot['samples'] =>
      [...counters.entries()].map(([key, value]) => ({ name, labels: { [label]: key }, value }));
    return {
      samples: [
        ...counted('connections_accepted_total', 'listener', this.#accepted),
        ...counted('heads_refused_total', 'reason', this.#refusals),
        ...counted('fallbacks_total', 'reason', this.#fallbacks),
        ...[...this.#responses.entries()].map(([key, value]) => {
          const [action = '', code = ''] = key.split(' ');
          return { name: 'responses_total', labels: { action, code }, value };
        }),
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
    this.#moves.stopping = true;
    for (const offers of this.#offers.values()) offers.retire();
    this.#acceptor.stopListening(new Set(last));
    const busy = (): number => this.#acceptor.active + this.#moves.size + this.#released.size;
    while (busy() > 0 && performance.now() < this.#deadline) {
      if (this.#deadline < Infinity) this.#fallback.closeIdle();
      await new Promise((resolve) => setTimeout(resolve, STOP_POLL_MS));
    }
    this.#acceptor.stop();
    this.#handoffs.stop();
    this.#moves.stop();
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
    const { limits, timeouts, workers } = this.data.config;
    const options = {
      headBytes: limits.head_bytes,
      headMs: timeouts.head,
      capacity: this.#capacity,
      counts: this.data.counts && new ConnectionCounts(this.data.counts),
      threads: workers,
    };
    return new Acceptor(options, this.#dumped, {
      otherFiles: () => this.#otherFiles(),
      accepted: (listener) => this.#accepted.add(listener),
      head: (connection, head, received, now) => this.#route(connection, head, received, now),
      raw: (connection, now) => this.#routeRaw(connection, now),
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

  /** For a connection whose first request's head is complete. */
  #route(connection: Connection, head: Http1Peek, received: number, now: number): void {
    const action = this.#routes.actionFor(head, connection);
    if (action === undefined) {
      this.#refusals.add('no_route');
      this.#fallback.refuse(connection, 404);
      return;
    }
    if (action instanceof Answering) {
      this.#fallback.answer(connection, this.#answer(action, head), head.method);
      return;
    }
    const pool = action.poolOf(head, connection);
    if (connection.judged && pool.proxies && !pool.judges && isFollowed(head, received)) {
      // An agent that does not judge would answer the first of these requests alone; here each one is routed.
      this.#fallbacks.add('pipelined');
      this.#fallback.serve(connection, pool);
    } else {
      const key = pool.keyOf(head, connection);
      this.#handoffs.begin(connection, pool, key, received, now, action.changesTo(head), action);
    }
  }

  /** For a connection without a head. */
  #routeRaw(connection: Connection, now: number): void {
    const action = this.#routes.actionFor(NO_HEAD, connection);
    if (action === undefined) {
      this.#refusals.add('no_route');
      this.#fallback.refuse(connection, 404);
    } else if (action instanceof Answering) {
      // Whatever the route says, in a protocol that nobody here speaks there is nothing to say.
      this.#responses.add(`${action.action} 0`);
      this.#fallback.refuse(connection, 403);
    } else {
      const pool = action.poolOf(NO_HEAD, connection);
      this.#handoffs.begin(connection, pool, pool.keyOf(NO_HEAD, connection), 0, now, undefined, action);
    }
  }

  /** For a request of a connection that the fallback relays. */
  #destinationOf(request: IncomingMessage, listener: string): Destination {
    const head = new RequestHead(request, listener);
    const action = this.#routes.actionFor(head, head);
    if (action === undefined) {
      this.#refusals.add('no_route');
      return 404;
    }
    if (action instanceof Answering) return this.#answer(action, head);
    // Once, or chance would send its other attempts to other pools.
    const pool = action.poolOf(head, head);
    const key = pool.keyOf(head, head);
    const another = (tried: readonly string[]): string | undefined => pool.pickOrigin(key, tried);
    const origin = another([]);
    return origin === undefined ? 503 : { origin, another, changes: action.changesTo(head) };
  }

  #answer(answering: Answering, head: RoutableHead): Answer {
    const answer = answering.answerTo(head);
    this.#responses.add(`${answering.action} ${answer.status}`);
    return answer;
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
    const table = (): string | undefined => this.#tables.of(backend.name);
    const made = new Offers(this.#agents.of(backend), node, this.#ids, this.#offerEvents, needsLoad, table);
    this.#offers.set(key, made);
    return made;
  }

  readonly #offerEvents: OfferEvents = {
    channelLost: (offers) => {
      this.#moves.channelLost(offers);
      this.events.channelLost(formatEndpoint(offers.endpoint));
    },
    handedBack: (offers, back, bytes, end) => this.#moves.handedBack(offers, back, bytes, end),
    settled: (offers, id) => this.#moves.settled(offers, id),
    withdrawn: (offers, id) => this.#moves.withdrawn(offers, id),
    reserve: (offers, back, bytes, end) => this.#moves.reserve(offers, back, bytes, end),
    left: (offers, id, octets) => this.#moves.left(offers, id, octets),
  };

  #moved(move: Move, backend: Backend): void {
    const { wish, flow, way, startedAt } = move;
    this.#moveCounts.moved(wish.reason, (performance.now() - startedAt) / 1000);
    const from = way.pool.backends.find(({ offers }) => offers === move.source)?.name ?? '';
    this.events.moved({ flow: formatFlow(flow), from, to: backend.name, reason: wish.reason });
  }

  #logRejected(backend: Backend, reason: RejectReason): void {
    const fields = { backend: backend.name, reason };
    this.#logSometimes(`rejected ${backend.name} ${reason}`, fields, 'offer rejected');
  }

  #logSometimes(kind: string, fields: Record<string, unknown>, message: string): void {
    if (this.#throttle.allows(kind)) this.logger.warn(fields, message);
  }
}
