/**
 * Everything of a front that follows from its configuration: accepting threads, control channels, health checks and the
 * flow keeper. A reload starts a new generation beside the old one and then retires that.
 */
import type { Logger } from 'pino';
import { formatEndpoint } from '../config/addresses';
import type { BackendConfig, FrontConfig } from '../config/model';
import { raiseFileLimit } from '../kernel/libc';
import type { StatsSnapshot } from '../observe/stats';
import type { HandoffId } from '../steer/flow-table';
import type { NextHops } from '../steer/next-hops';
import type { Steering } from '../steer/steering';
import { AgentAddresses } from '../wire/dial';
import type { KeepReason } from '../wire/hand-back';
import { AcceptingThreads } from './accepting-threads';
import type { Question } from './asked-request';
import type { BackendState } from './backend-state';
import { capacityOf, type Capacity } from './capacity';
import type { ConnectionCounts } from './connection-counts';
import type { Counters } from './counters';
import { Explainer, type Explanation, type Standpoint } from './explanation';
import { Farewells } from './farewells';
import { FlowKeeper } from './flow-keeper';
import { closeListeners, type OpenListener } from './listeners';
import type { BackendFacts, Moved, WorkerStatus } from './messages';
import { needsJudging } from './judging';
import { OutlierWatch } from './outlier-watch';
import { WatchedAgent } from './watched-agent';
import { WatchedBackend, type KnownBackend } from './watched-backend';

/** How long a start waits for first health results and channels: what is there answers in milliseconds. */
const PATIENCE_MS = 1000;

/** What a generation takes over from the front and from the generation before it. */
export interface Inheritance {
  readonly steering: Steering;
  /** Asked for each address once between two reloads. */
  readonly hops: NextHops;
  /** Descriptor of the filter that freezes connections. */
  readonly freezeFilter: number;
  /** Backend numbers that flows, older generations or the front before this one use. */
  readonly numbersInUse: ReadonlySet<number>;
  readonly listeners: readonly (readonly OpenListener[])[];
  /** Of the backends before a reload or restart; undefined where there was nothing before. */
  readonly known: readonly KnownBackend[] | undefined;
  /** Of the generation before a reload. */
  readonly keeper?: FlowKeeper;
  /** Open connections; only where there are limits. */
  readonly counts?: ConnectionCounts;
  /** Connections that were ended because their backend's host is gone, by backend; this generation counts on. */
  readonly flowsReset: Counters;
  /** Ejections, counted by an OutlierWatch; likewise. */
  readonly ejections: Counters;
  readonly moves: MoveEvents;
}

/** What agents and accepting threads say of connections that are to move. */
export interface MoveEvents {
  moved(what: Moved): void;
  kept(id: HandoffId, reason: KeepReason): void;
}

export class Generation {
  readonly backends: WatchedBackend[] = [];
  readonly keeper: FlowKeeper;
  readonly #explainer: Explainer;
  readonly #farewells = new Farewells();
  readonly #addresses: AgentAddresses;
  readonly #agents = new Map<string, WatchedAgent>();
  /** By pool, of those that eject. */
  readonly #watches = new Map<string, OutlierWatch>();
  #threads: AcceptingThreads | undefined;
  #started = false;
  #retired = false;

  private constructor(
    readonly config: FrontConfig,
    private readonly inherited: Inheritance,
    private readonly logger: Logger,
  ) {
    this.#explainer = new Explainer(config);
    this.#addresses = new AgentAddresses(config.control);
    const { linger: lingerMs, idle_flow: idleMs } = config.timeouts;
    this.keeper = new FlowKeeper(
      inherited.steering.flows,
      { lingerMs, idleMs },
      this.#farewells,
      inherited.counts,
      inherited.keeper,
    );
  }

  /**
   * Resolves when its threads accept connections; rejects with the step that failed, leaving nothing behind. `failed` is
   * called when a running thread breaks.
   */
  static async start(
    config: FrontConfig,
    inherited: Inheritance,
    logger: Logger,
    failed: (message: string) => void,
  ): Promise<Generation> {
    const generation = new Generation(config, inherited, logger);
    try {
      await generation.#start(failed);
      return generation;
    } catch (error) {
      await generation.retire([]);
      closeListeners(inherited.listeners.flat());
      throw error;
    }
  }

  /** The backend of a pool, by their names. */
  find(pool: string, backend: string): WatchedBackend | undefined {
    return this.backends.find((each) => each.pool.name === pool && each.config.name === backend);
  }

  /** Adopted connections of a backend's agent, those of other fronts included; undefined while nobody knows. */
  connectionsOf({ config }: WatchedBackend): number | undefined {
    return this.#agents.get(formatEndpoint(config.agent))?.connections;
  }

  /** Where a request would go now. Throws a RangeError for a question that is none. */
  explain(question: Question): Explanation {
    return this.#explainer.explain(question, (pool, { name }) => {
      const backend = this.find(pool.name, name);
      return backend === undefined ? { candidate: false, why: 'not there' } : this.#standpointOf(backend);
    });
  }

  #standpointOf(backend: WatchedBackend): Standpoint {
    const { config, standing, state, link, cause } = backend;
    const { weight, max_connections: most = Infinity } = config;
    if (!standing.takes || !link.up) return { candidate: false, why: `${state}, ${cause}` };
    if (weight === 0) return { candidate: false, why: 'weight 0' };
    const connections = this.connectionsOf(backend) ?? 0;
    if (connections >= most)
      return { candidate: false, why: `${connections} connections, and max_connections is ${most}` };
    return { candidate: true, why: `${state}, weight ${weight}, ${connections} connections` };
  }

  get agents(): Iterable<WatchedAgent> {
    return this.#agents.values();
  }

  get watches(): Iterable<OutlierWatch> {
    return this.#watches.values();
  }

  /** Why a backend should be ejected, where it is not because too few would be left. */
  withheldFor({ pool, name }: WatchedBackend): string | undefined {
    return this.#watches.get(pool.name)?.withheld(name);
  }

  observe(): Promise<{ stats: StatsSnapshot; status: WorkerStatus }> {
    if (this.#threads === undefined) throw new Error('generation is not started');
    return this.#threads.observe();
  }

  /**
   * Takes no more connections and resolves when those in hand have come to their end, with what it counted in its life.
   * Nobody will accept at the addresses in `last` any more.
   */
  async retire(last: readonly string[]): Promise<StatsSnapshot> {
    this.#retired = true;
    // The next generation keeps the flow table; health, and the ends of ejections, go on to matter for relayed connections.
    for (const agent of this.#agents.values()) agent.stop();
    this.keeper.stop();
    this.#farewells.stop();
    const counted = await this.#threads?.retire(last);
    for (const watch of this.#watches.values()) watch.stop();
    for (const backend of this.backends) await backend.stop();
    return counted ?? { samples: [], histograms: [] };
  }

  /** A retiring generation gives up after `graceMs` what is left then. */
  hurry(graceMs: number): void {
    this.#threads?.hurry(graceMs);
  }

  async #start(failed: (message: string) => void): Promise<void> {
    this.#watchBackends();
    for (const agent of this.#agents.values()) agent.start();
    for (const { checker } of this.backends) checker?.start();
    const links = [...this.#agents.values()].map(({ link }) => link.settled);
    const results = this.backends.map(({ decided }) => decided);
    const patience = after(PATIENCE_MS);
    // Threads load their code meanwhile; each change of health is passed on to them from here on.
    this.#threads = this.#startThreads(failed);
    await Promise.race([Promise.all([...links, ...results]), patience]);
    await this.#threads.accept();
    this.#started = true;
    for (const backend of this.backends) {
      backend.started();
      if (backend.state === 'down') this.#log(backend);
    }
    for (const watch of this.#watches.values()) watch.start();
    this.#explainRouting();
  }

  #startThreads(failed: (message: string) => void): AcceptingThreads {
    const facts: BackendFacts[][] = this.config.pools.map((pool) =>
      this.backends
        .filter((backend) => backend.pool === pool)
        .map(({ number, hops, standing }) => ({ number, hops, standing })),
    );
    const { steering, freezeFilter, listeners, counts } = this.inherited;
    const capacity = this.#capacity();
    const { fd: flowsFd, reviewFd } = steering.flows;
    const data = {
      config: this.config,
      capacity,
      flowsFd,
      reviewFd,
      freezeFilter,
      facts,
      ...(counts && { counts: counts.memory }),
    };
    return AcceptingThreads.start(data, listeners, {
      failed,
      channelLost: (agent) => this.#agents.get(agent)?.reconcile(),
      moved: (what) => this.inherited.moves.moved(what),
      failing: (thread, { pool, backend, failures }) =>
        this.#watches.get(pool)?.failing(backend, thread, failures),
      recovered: (thread, { pool, backend }) => this.#watches.get(pool)?.recovered(backend, thread),
    });
  }

  /** Later requests that go elsewhere than the first shall not be a riddle, nor those that no route has seen. */
  #explainRouting(): void {
    const { config } = this;
    const kept = config.listeners.filter(
      ({ protocol, routing }) => protocol !== 'tcp' && routing === 'per-connection',
    );
    if (
      kept.length > 0 &&
      config.routes.some(({ pool, edits }) => pool === undefined || edits !== undefined)
    ) {
      this.logger.warn(
        { listeners: kept.map(({ name }) => name) },
        'only the first request of a connection is edited, split or answered (routing: per-connection)',
      );
    }
    const names = config.listeners.filter((each) => needsJudging(each, config)).map(({ name }) => name);
    if (names.length === 0) return;
    this.logger.info(
      { listeners: names },
      'agents judge later requests of each connection, because these may be for another pool or backend; with one that does not, connections carry one request each',
    );
  }

  #capacity(): Capacity {
    const { connections: wanted } = this.config.limits;
    const files = raiseFileLimit();
    const capacity = capacityOf(files, wanted);
    if (capacity.connections < wanted) {
      this.logger.warn(
        { files, connections: capacity.connections, wanted },
        'limits.connections is capped by the limit of open files: raise that (LimitNOFILE, ulimit -n) or lower it',
      );
    }
    return capacity;
  }

  #watchBackends(): void {
    const { steering, hops, numbersInUse, known } = this.inherited;
    const configs = this.config.pools.flatMap((pool) => pool.backends);
    const wanted = new Set(configs.map(steeredName));
    hops.ask(configs.flatMap(({ via }) => via.map(({ host }) => host)));
    for (const pool of this.config.pools) {
      for (const config of pool.backends) {
        const number = steering.backends.assign(steeredName(config), wanted, numbersInUse);
        const agent = this.#agentOf(config);
        agent.serves(config, number);
        const before = known?.find((each) => each.pool === pool.name && each.name === config.name);
        const what = known === undefined ? 'first' : before;
        this.backends.push(new WatchedBackend(pool, config, number, agent, hops, what, this.#changed));
      }
      if (pool.outliers === undefined) continue;
      const own = this.backends.filter((backend) => backend.pool === pool);
      const { ejections } = this.inherited;
      this.#watches.set(pool.name, new OutlierWatch(pool.name, pool.outliers, own, ejections, this.logger));
    }
  }

  readonly #changed = (backend: WatchedBackend, before: BackendState, cause: string): void => {
    this.#tell(backend);
    // While a generation starts, all of its backends come up: that is no news.
    if (this.#started && !this.#retired && backend.state !== before) this.#log(backend, before, cause);
    this.#watches.get(backend.pool.name)?.review();
  };

  #log(backend: WatchedBackend, before?: BackendState, happened?: string): void {
    const { state, pool, name, ejectedMs } = backend;
    // A backend may be ejected again because its channel is back: that it was ejected before is the reason.
    const cause = state === 'ejected' ? backend.cause : (happened ?? backend.cause);
    const fields = { pool: pool.name, backend: name, state, before, cause };
    if (state === 'down') {
      this.logger.warn(fields, 'backend is down');
    } else if (state === 'ejected') {
      const until = new Date(Date.now() + ejectedMs).toISOString();
      this.logger.warn({ ...fields, seconds: Math.round(ejectedMs / 1000), until }, 'backend is ejected');
    } else {
      this.logger.info(fields, `backend is ${state}`);
    }
  }

  #tell({ pool, config, standing }: WatchedBackend): void {
    this.#threads?.setStanding(pool.name, config.name, standing);
  }

  /** Backends that share an agent share its channel; all of them have the same name. */
  #agentOf(backend: BackendConfig): WatchedAgent {
    const key = formatEndpoint(backend.agent);
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    const { node, timeouts } = this.config;
    const { name } = backend;
    const address = this.#addresses.of(backend);
    const made = new WatchedAgent(name, address, node, timeouts.backend_gone, this.keeper, this.logger, {
      lost: (lostName, flows) => this.inherited.flowsReset.add(lostName, flows),
      kept: (id, reason) => this.inherited.moves.kept(id, reason),
      changed: (cause) => {
        for (const each of this.backends) if (each.link === made.link) each.review(cause);
      },
      responded: (counts) => {
        for (const { link, pool, name: served } of this.backends)
          if (link === made.link) this.#watches.get(pool.name)?.responded(served, counts);
      },
    });
    this.#agents.set(key, made);
    return made;
  }
}

/** What the flow table knows a backend by: another agent under the same name is another backend. */
function steeredName(config: BackendConfig): string {
  return `${config.name}@${config.agent.host}:${config.agent.port}`;
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
