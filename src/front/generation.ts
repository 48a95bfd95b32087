/**
 * Everything of a front that follows from its configuration: accepting threads, control channels, health checks and the
 * flow keeper. A reload starts a new generation beside the old one and then retires that.
 */
import type { Logger } from 'pino';
import { formatEndpoint } from '../config/addresses';
import type { BackendConfig, FrontConfig } from '../config/model';
import { raiseFileLimit } from '../kernel/libc';
import type { StatsSnapshot } from '../observe/stats';
import type { NextHops } from '../steer/next-hops';
import type { Steering } from '../steer/steering';
import { AgentAddresses } from '../wire/dial';
import { AcceptingThreads } from './accepting-threads';
import type { BackendState } from './backend-state';
import { capacityOf, type Capacity } from './capacity';
import type { ConnectionCounts } from './connection-counts';
import type { Counters } from './counters';
import { Farewells } from './farewells';
import { FlowKeeper } from './flow-keeper';
import { closeListeners, type OpenListener } from './listeners';
import type { BackendFacts, WorkerStatus } from './messages';
import { carriesOneRequest } from './one-request';
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
}

export class Generation {
  readonly backends: WatchedBackend[] = [];
  readonly keeper: FlowKeeper;
  readonly #farewells = new Farewells();
  readonly #addresses: AgentAddresses;
  readonly #agents = new Map<string, WatchedAgent>();
  #threads: AcceptingThreads | undefined;
  #retired = false;

  private constructor(
    readonly config: FrontConfig,
    private readonly inherited: Inheritance,
    private readonly logger: Logger,
  ) {
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

  get agents(): Iterable<WatchedAgent> {
    return this.#agents.values();
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
    // The next generation keeps the flow table; health goes on to matter for relayed connections.
    for (const agent of this.#agents.values()) agent.stop();
    this.keeper.stop();
    this.#farewells.stop();
    const counted = await this.#threads?.retire(last);
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
    await Promise.race([Promise.all([...links, ...results]), after(PATIENCE_MS)]);

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
    this.#threads = await AcceptingThreads.start(data, listeners, {
      failed,
      channelLost: (agent) => this.#agents.get(agent)?.reconcile(),
    });
    // What changed while the threads were starting.
    for (const backend of this.backends) {
      backend.started();
      this.#tell(backend);
      if (backend.state === 'down') this.#log(backend);
    }
    this.#explainRouting();
  }

  /** Clients that lose their kept-alive connections shall not be a riddle. */
  #explainRouting(): void {
    const { config } = this;
    const names = config.listeners.filter((each) => carriesOneRequest(each, config)).map(({ name }) => name);
    if (names.length === 0) return;
    this.logger.info(
      { listeners: names },
      'connections carry one request each, because later ones may be for another pool or backend (routing: per-request)',
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
    const wanted = new Set(this.config.pools.flatMap((pool) => pool.backends.map(steeredName)));
    for (const pool of this.config.pools) {
      for (const config of pool.backends) {
        const number = steering.backends.assign(steeredName(config), wanted, numbersInUse);
        const agent = this.#agentOf(config);
        agent.serves(config, number);
        const before = known?.find((each) => each.pool === pool.name && each.name === config.name);
        const what = known === undefined ? 'first' : before;
        this.backends.push(new WatchedBackend(pool, config, number, agent.link, hops, what, this.#changed));
      }
    }
  }

  readonly #changed = (backend: WatchedBackend, before: BackendState): void => {
    this.#tell(backend);
    // While a generation starts, all of its backends come up: that is no news.
    if (this.#threads !== undefined && !this.#retired && backend.state !== before) this.#log(backend, before);
  };

  #log({ state, cause, pool, config }: WatchedBackend, before?: BackendState): void {
    const fields = { pool: pool.name, backend: config.name, state, before, cause };
    if (state === 'down') this.logger.warn(fields, 'backend is down');
    else this.logger.info(fields, `backend is ${state}`);
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
      linkChanged: (cause) => {
        for (const each of this.backends) if (each.link === made.link) each.review(cause);
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
