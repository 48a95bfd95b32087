/**
 * Everything of a front that follows from its configuration: accepting threads, control channels, health checks and the
 * flow keeper. A reload starts a new generation beside the old one and then retires that.
 */
import type { Logger } from 'pino';
import type { BackendConfig, Endpoint, FrontConfig } from '../config/model';
import type { StatsSnapshot } from '../observe/stats';
import type { Steering } from '../steer/steering';
import { Link } from '../wire/link';
import { AcceptingThreads } from './accepting-threads';
import { FlowKeeper } from './flow-keeper';
import type { OpenListener } from './listeners';
import type { BackendFacts, WorkerStatus } from './messages';
import { WatchedBackend } from './watched-backend';

/** How long a start waits for first health results and channels: what is there answers in milliseconds. */
const PATIENCE_MS = 1000;

/** One agent's control channel as the keeper sees it. */
interface WatchedAgent {
  /** Numbers of its backends in the flow table. */
  readonly numbers: Set<number>;
  readonly link: Link;
}

/** What a generation takes over from the front and from the generation before it. */
export interface Inheritance {
  readonly steering: Steering;
  /** Descriptor of the filter that freezes connections. */
  readonly freezeFilter: number;
  /** Backend numbers that flows or older generations use. */
  readonly numbersInUse: ReadonlySet<number>;
  readonly listeners: readonly (readonly OpenListener[])[];
  /** By WatchedBackend.healthKey. */
  readonly knownHealth: ReadonlyMap<string, boolean>;
}

export class Generation {
  readonly backends: WatchedBackend[] = [];
  readonly keeper: FlowKeeper;
  readonly #agents = new Map<string, WatchedAgent>();
  #threads: AcceptingThreads | undefined;
  #retired = false;

  private constructor(
    readonly config: FrontConfig,
    private readonly inherited: Inheritance,
    private readonly logger: Logger,
  ) {
    this.keeper = new FlowKeeper(inherited.steering.flows, {
      lingerMs: config.timeouts.linger,
      idleMs: config.timeouts.idle_flow,
    });
  }

  /**
   * Resolves when its threads accept connections; rejects with the step that failed, leaving nothing behind but the
   * inherited listeners. `failed` is called when a running thread breaks.
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
      throw error;
    }
  }

  observe(): Promise<{ stats: StatsSnapshot; status: WorkerStatus }> {
    if (this.#threads === undefined) throw new Error('generation is not started');
    return this.#threads.observe();
  }

  /**
   * Takes no more connections and resolves when those in hand have come to their end, with what it counted in its life.
   * Listening sockets in `keep` stay open.
   */
  async retire(keep: readonly number[]): Promise<StatsSnapshot> {
    this.#retired = true;
    // The next generation keeps the flow table; health goes on to matter for relayed connections.
    for (const { link } of this.#agents.values()) link.stop();
    this.keeper.stop();
    const counted = await this.#threads?.retire(keep);
    for (const { checker } of this.backends) await checker?.stop();
    return counted ?? { samples: [], histograms: [] };
  }

  /** A retiring generation gives up after `graceMs` what is left then. */
  hurry(graceMs: number): void {
    this.#threads?.hurry(graceMs);
  }

  async #start(failed: (message: string) => void): Promise<void> {
    this.#watchBackends();
    for (const { link } of this.#agents.values()) link.start();
    for (const { checker } of this.backends) checker?.start();
    const links = [...this.#agents.values()].map(({ link }) => link.settled);
    const results = this.backends.map(({ decided }) => decided);
    await Promise.race([Promise.all([...links, ...results]), after(PATIENCE_MS)]);

    const facts: BackendFacts[][] = this.config.pools.map((pool) =>
      this.backends
        .filter((backend) => backend.pool === pool)
        .map(({ number, hops, healthy }) => ({ number, hops, healthy })),
    );
    const { steering, freezeFilter, listeners } = this.inherited;
    const data = { config: this.config, flowsFd: steering.flows.fd, freezeFilter, facts };
    this.#threads = await AcceptingThreads.start(data, listeners, failed);
    // What changed while the threads were starting.
    for (const backend of this.backends) this.#tellHealth(backend);
  }

  #watchBackends(): void {
    const { steering, numbersInUse, knownHealth } = this.inherited;
    const wanted = new Set(this.config.pools.flatMap((pool) => pool.backends.map(steeredName)));
    for (const pool of this.config.pools) {
      for (const config of pool.backends) {
        const number = steering.backends.assign(steeredName(config), wanted, numbersInUse);
        const agent = this.#agentAt(config.agent);
        agent.numbers.add(number);
        const backend = new WatchedBackend(pool, config, number, agent.link, this.#healthChanged);
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

  /** Backends that share an agent share its channel. */
  #agentAt(endpoint: Endpoint): WatchedAgent {
    const key = `${endpoint.host}:${endpoint.port}`;
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    // Entries made before this moment are on the agent's list, or over.
    let askedAt = 0;
    const numbers = new Set<number>();
    const link = new Link(
      endpoint,
      { role: 'keeper', node: this.config.node },
      {
        onUp: (hello, asked) => {
          askedAt = asked;
          this.logger.info({ agent: key, agent_node: hello.node, vips: hello.vips }, 'control channel is up');
        },
        onDown: (cause) => {
          this.keeper.forgetList(key);
          if (!this.#retired) this.logger.warn({ agent: key, cause }, 'control channel is down');
        },
        onFailed: (cause) => this.logger.warn({ agent: key, cause }, 'control channel cannot be opened'),
        onFlows: (flows, last) => this.keeper.listed(key, flows, last, askedAt, numbers),
        onClosed: (flows) => this.keeper.closed(flows),
      },
    );
    const made: WatchedAgent = { numbers, link };
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
