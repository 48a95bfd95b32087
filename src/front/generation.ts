/**
 * Everything of a front that follows from its configuration: accepting threads, control channels, health checks and the
 * flow keeper. A reload starts a new generation beside the old one and then retires that.
 */
import type { Logger } from 'pino';
import { formatEndpoint } from '../config/addresses';
import type { BackendConfig, FrontConfig } from '../config/model';
import { raiseFileLimit } from '../kernel/libc';
import type { StatsSnapshot } from '../observe/stats';
import { resolveNextHops } from '../steer/next-hop';
import type { Steering } from '../steer/steering';
import { AgentAddresses } from '../wire/dial';
import { AcceptingThreads } from './accepting-threads';
import { capacityOf, type Capacity } from './capacity';
import type { Counters } from './counters';
import { Farewells } from './farewells';
import { FlowKeeper } from './flow-keeper';
import { closeListeners, type OpenListener } from './listeners';
import type { BackendFacts, WorkerStatus } from './messages';
import { carriesOneRequest } from './one-request';
import { WatchedAgent } from './watched-agent';
import { WatchedBackend } from './watched-backend';

/** How long a start waits for first health results and channels: what is there answers in milliseconds. */
const PATIENCE_MS = 1000;

/** What a generation takes over from the front and from the generation before it. */
export interface Inheritance {
  readonly steering: Steering;
  /** Descriptor of the filter that freezes connections. */
  readonly freezeFilter: number;
  /** Backend numbers that flows, older generations or the front before this one use. */
  readonly numbersInUse: ReadonlySet<number>;
  readonly listeners: readonly (readonly OpenListener[])[];
  /** By WatchedBackend.healthKey. */
  readonly knownHealth: ReadonlyMap<string, boolean>;
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
    this.keeper = new FlowKeeper(inherited.steering.flows, { lingerMs, idleMs }, this.#farewells);
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
    for (const { checker } of this.backends) await checker?.stop();
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
    this.#explainRouting();
  }

  #startThreads(failed: (message: string) => void): AcceptingThreads {
    const facts: BackendFacts[][] = this.config.pools.map((pool) =>
      this.backends
        .filter((backend) => backend.pool === pool)
        .map(({ number, hops, healthy }) => ({ number, hops, healthy })),
    );
    const { steering, freezeFilter, listeners } = this.inherited;
    const capacity = this.#capacity();
    const { fd: flowsFd, reviewFd } = steering.flows;
    const data = { config: this.config, capacity, flowsFd, reviewFd, freezeFilter, facts };
    return AcceptingThreads.start(data, listeners, {
      failed,
      channelLost: (agent) => this.#agents.get(agent)?.reconcile(),
    });
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
    const { steering, numbersInUse, knownHealth } = this.inherited;
    const configs = this.config.pools.flatMap((pool) => pool.backends);
    const wanted = new Set(configs.map(steeredName));
    const nextHop = resolveNextHops(configs.flatMap(({ via }) => via.map(({ host }) => host)));
    for (const pool of this.config.pools) {
      for (const config of pool.backends) {
        const number = steering.backends.assign(steeredName(config), wanted, numbersInUse);
        const agent = this.#agentOf(config);
        agent.serves(config, number);
        const backend = new WatchedBackend(pool, config, number, agent.link, nextHop, this.#healthChanged);
        backend.healthy ||= knownHealth.get(backend.healthKey) ?? false;
        this.backends.push(backend);
      }
    }
  }

  readonly #healthChanged = (backend: WatchedBackend, cause: string): void => {
    this.#tellHealth(backend);
    if (this.#retired) return;
    const fields = { pool: backend.pool.name, backend: backend.config.name, cause };
    if (backend.healthy) this.logger.info(fields, 'backend is healthy');
    else this.logger.warn(fields, 'backend is unhealthy');
  };

  #tellHealth({ pool, config, healthy }: WatchedBackend): void {
    this.#threads?.setHealth(pool.name, config.name, healthy);
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
