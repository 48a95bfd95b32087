/**
 * Everything of a front that follows from its configuration: accepting threads, control channels, health checks and the
 * flow keeper. A reload starts a new generation beside the old one and then retires that.
 */
import type { Logger } from 'pino';
import type { BackendConfig, Endpoint, FrontConfig, PoolConfig } from '../config/model';
import { HealthChecker } from '../health/checker';
import type { StatsSnapshot } from '../observe/stats';
import { monotonicNs } from '../steer/flow-table';
import { resolveNextHop } from '../steer/next-hop';
import type { Steering } from '../steer/steering';
import { Link } from '../wire/link';
import { AcceptingThreads } from './accepting-threads';
import { FlowKeeper } from './flow-keeper';
import type { OpenListener } from './listeners';
import type { BackendFacts, WorkerStatus } from './messages';

/** How long a start waits for first health results and channels: what is there answers in milliseconds. */
const PATIENCE_MS = 1000;

/** One agent's control channel as the keeper sees it. */
interface WatchedAgent {
  /** Numbers of its backends in the flow table. */
  readonly numbers: Set<number>;
  readonly link: Link;
}

/** A backend of a pool with what watches it. */
export interface WatchedBackend {
  readonly pool: PoolConfig;
  readonly config: BackendConfig;
  readonly number: number;
  readonly checker: HealthChecker | undefined;
  readonly link: Link;
}

/** Whether a backend gets connections: healthy, and its agent can be talked to. */
export function isUp(backend: WatchedBackend): boolean {
  return backend.link.up && (backend.checker?.up ?? true);
}

export class Generation {
  readonly backends: WatchedBackend[] = [];
  readonly keeper: FlowKeeper;
  readonly #agents = new Map<string, WatchedAgent>();
  readonly #firstResults: Promise<void>[] = [];
  #threads: AcceptingThreads | undefined;
  #retired = false;

  private constructor(
    readonly config: FrontConfig,
    private readonly steering: Steering,
    private readonly logger: Logger,
  ) {
    this.keeper = new FlowKeeper(steering.flows, {
      lingerMs: config.timeouts.linger,
      idleMs: config.timeouts.idle_flow,
    });
  }

  /**
   * Resolves when its threads accept connections; rejects with the step that failed, leaving nothing behind. `failed` is
   * called when a running thread breaks. `numbersInUse` are those that flows carry.
   */
  static async start(
    config: FrontConfig,
    steering: Steering,
    numbersInUse: ReadonlySet<number>,
    listeners: readonly (readonly OpenListener[])[],
    logger: Logger,
    failed: (message: string) => void,
  ): Promise<Generation> {
    const generation = new Generation(config, steering, logger);
    try {
      await generation.#start(numbersInUse, listeners, failed);
      return generation;
    } catch (error) {
      await generation.retire(0, []);
      throw error;
    }
  }

  observe(): Promise<{ stats: StatsSnapshot; status: WorkerStatus }> {
    if (this.#threads === undefined) throw new Error('generation is not started');
    return this.#threads.observe();
  }

  /**
   * Takes no more connections, lets those in hand finish for `graceMs`, and resolves with what it counted in its life.
   * Listening sockets in `keep` stay open.
   */
  async retire(graceMs: number, keep: readonly number[]): Promise<StatsSnapshot> {
    this.#retired = true;
    const counted = await this.#threads?.stop(graceMs, keep);
    for (const { checker } of this.backends) await checker?.stop();
    for (const { link } of this.#agents.values()) link.stop();
    this.keeper.stop();
    return counted ?? { samples: [], histograms: [] };
  }

  async #start(
    numbersInUse: ReadonlySet<number>,
    listeners: readonly (readonly OpenListener[])[],
    failed: (message: string) => void,
  ): Promise<void> {
    this.#watchBackends(numbersInUse);
    for (const { link } of this.#agents.values()) link.start();
    for (const { checker } of this.backends) checker?.start();
    const links = [...this.#agents.values()].map(({ link }) => link.settled);
    await Promise.race([Promise.all([...links, ...this.#firstResults]), after(PATIENCE_MS)]);

    const facts = this.config.pools.map((pool) =>
      this.backends.filter((backend) => backend.pool === pool).map((backend) => this.#factsOf(backend)),
    );
    const data = { config: this.config, flowsFd: this.steering.flows.fd, facts };
    this.#threads = await AcceptingThreads.start(data, listeners, failed);
    // What changed while the threads were starting.
    for (const { pool, config, checker } of this.backends) {
      if (checker !== undefined) this.#threads.setHealth(pool.name, config.name, checker.up);
    }
  }

  #watchBackends(numbersInUse: ReadonlySet<number>): void {
    const wanted = new Set(this.config.pools.flatMap((pool) => pool.backends.map(steeredName)));
    for (const pool of this.config.pools) {
      for (const config of pool.backends) {
        const number = this.steering.backends.assign(steeredName(config), wanted, numbersInUse);
        const agent = this.#agentAt(config.agent);
        agent.numbers.add(number);
        this.backends.push({
          pool,
          config,
          number,
          checker: this.#checkerFor(pool, config),
          link: agent.link,
        });
      }
    }
  }

  #factsOf({ config, number, checker }: WatchedBackend): BackendFacts {
    const hops = config.via.map(({ host, family }) => ({ family, ...resolveNextHop(host) }));
    return { number, hops, healthy: checker?.up ?? true };
  }

  #checkerFor(pool: PoolConfig, config: BackendConfig): HealthChecker | undefined {
    const { health } = pool;
    const { http } = config;
    if (health === undefined || http === undefined) return undefined;
    const names = { pool: pool.name, backend: config.name };
    let decided: () => void = () => undefined;
    this.#firstResults.push(new Promise((resolve) => (decided = resolve)));
    return new HealthChecker(http, health, (up, cause) => {
      decided();
      this.logger[up ? 'info' : 'warn'](
        { ...names, cause },
        up ? 'backend is healthy' : 'backend is unhealthy',
      );
      this.#threads?.setHealth(pool.name, config.name, up);
    });
  }

  /** Backends that share an agent share its channel. */
  #agentAt(endpoint: Endpoint): WatchedAgent {
    const key = `${endpoint.host}:${endpoint.port}`;
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    let askedAt = 0;
    const numbers = new Set<number>();
    const link = new Link(
      endpoint,
      { role: 'keeper', node: this.config.node },
      {
        onUp: (hello) => {
          askedAt = monotonicNs();
          this.logger.info({ agent: key, agent_node: hello.node, vips: hello.vips }, 'control channel is up');
        },
        onDown: (cause) => {
          this.keeper.forgetList(key);
          if (!this.#retired) this.logger.warn({ agent: key, cause }, 'control channel is down');
        },
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
