/**
 * The front's main thread: everything but the data path. Loads the steering program, starts the accepting threads, keeps
 * the flow table true, checks backends' health and answers the admin API.
 */
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { BackendConfig, Endpoint, FrontConfig, PoolConfig } from '../config/model';
import { HealthChecker } from '../health/checker';
import { raiseFileLimit } from '../kernel/libc';
import { createAdmin, listenAdmin } from '../observe/admin';
import { createRegistry } from '../observe/registry';
import { mergeStats, type Sample, type StatsSnapshot } from '../observe/stats';
import { monotonicNs } from '../steer/flow-table';
import { resolveNextHop } from '../steer/next-hop';
import { Steering } from '../steer/steering';
import { Link } from '../wire/link';
import { AcceptingThreads } from './accepting-threads';
import { addFrontRoutes } from './admin-routes';
import { FlowKeeper } from './flow-keeper';
import type { BackendFacts } from './messages';

/** How long a graceful stop waits for connections in the front's own hands. Handed-off ones need nobody to wait. */
const GRACE_MS = 10_000;
/** Counting a large table costs time; scrapes closer together than this share one count. */
const FLOW_COUNT_MAX_AGE_MS = 1000;

/** A backend of a pool with what watches it. */
export interface WatchedBackend {
  readonly pool: PoolConfig;
  readonly config: BackendConfig;
  /** Its number in the flow table. */
  readonly number: number;
  readonly checker: HealthChecker | undefined;
  readonly agent: WatchedAgent;
}

/** One agent's control channel as the keeper sees it. */
export interface WatchedAgent {
  readonly endpoint: Endpoint;
  readonly numbers: Set<number>;
  link: Link;
}

export class Front {
  readonly backends: WatchedBackend[] = [];
  readonly keeper: FlowKeeper;
  readonly #agents = new Map<string, WatchedAgent>();
  #threads: AcceptingThreads | undefined;
  #admin: FastifyInstance | undefined;
  #stopping = false;
  #flowCounts = { at: -Infinity, byNumber: new Map<number, number>() };

  private constructor(
    readonly config: FrontConfig,
    readonly steering: Steering,
    private readonly logger: Logger,
    private readonly failed: (message: string) => void,
  ) {
    this.keeper = new FlowKeeper(steering.flows, {
      lingerMs: config.timeouts.linger,
      idleMs: config.timeouts.idle_flow,
    });
  }

  /**
   * Starts a front; throws an Error whose message names the step and the cause. `failed` is called when a part of a
   * running front breaks: the process should end then and be started again, its connections live on.
   */
  static async start(config: FrontConfig, logger: Logger, failed: (message: string) => void): Promise<Front> {
    const files = raiseFileLimit();
    const steering = Steering.open({
      interface: config.steering.interface,
      pin: config.steering.pin,
      maxFlows: config.steering.max_flows,
    });
    const front = new Front(config, steering, logger, failed);
    try {
      await front.#start();
    } catch (error) {
      await front.stop();
      throw error;
    }
    logger.info({ workers: config.workers, files, flow_capacity: steering.flows.capacity }, 'front is serving');
    return front;
  }

  get serving(): boolean {
    return this.#threads !== undefined && !this.#stopping;
  }

  /** Stops accepting, lets relayed connections finish for a while, and leaves the steering as it is. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#threads?.stop(GRACE_MS);
    await Promise.all(this.backends.map((backend) => backend.checker?.stop()));
    for (const agent of this.#agents.values()) agent.link.stop();
    this.keeper.stop();
    await this.#admin?.close();
    this.steering.close();
  }

  reload(): Promise<void> {
    return Promise.reject(new Error('not available'));
  }

  /** State of a backend for API and metrics. */
  isUp(backend: WatchedBackend): boolean {
    return backend.agent.link.up && (backend.checker?.up ?? true);
  }

  /** Entries of the flow table by backend number, at most a second old. */
  flowCounts(): ReadonlyMap<number, number> {
    const now = performance.now();
    if (now - this.#flowCounts.at > FLOW_COUNT_MAX_AGE_MS) {
      const byNumber = new Map<number, number>();
      this.steering.flows.forEach(({ backend }) => byNumber.set(backend, (byNumber.get(backend) ?? 0) + 1));
      this.#flowCounts = { at: now, byNumber };
    }
    return this.#flowCounts.byNumber;
  }

  async observeThreads(): ReturnType<AcceptingThreads['observe']> {
    if (this.#threads === undefined) throw new Error('not started');
    return this.#threads.observe();
  }

  async #start(): Promise<void> {
    if (this.steering.keptCapacity) {
      this.logger.warn(
        { capacity: this.steering.flows.capacity, max_flows: this.config.steering.max_flows },
        'the pinned flow table keeps its size: remove the pin directory while no flow is live to change it',
      );
    }
    const facts = this.#prepareBackends();
    this.#threads = await AcceptingThreads.start(
      { config: this.config, flowsFd: this.steering.flows.fd, facts },
      this.failed,
    );
    for (const agent of this.#agents.values()) agent.link.start();
    for (const backend of this.backends) backend.checker?.start();
    await this.#startAdmin();
  }

  async #startAdmin(): Promise<void> {
    const registry: Registry = createRegistry('front', () => this.#collect());
    this.#admin = createAdmin({ registry, ready: () => this.serving, logger: this.logger });
    addFrontRoutes(this.#admin, this);
    const address = await listenAdmin(this.#admin, this.config.admin.listen);
    this.logger.info(address, 'admin API is listening');
  }

  /** Gives every backend its number and next hops, and prepares what watches it. */
  #prepareBackends(): BackendFacts[][] {
    const wanted = new Set(this.config.pools.flatMap((pool) => pool.backends.map(steeredName)));
    const inUse = new Set(this.flowCounts().keys());
    return this.config.pools.map((pool) =>
      pool.backends.map((config) => {
        const number = this.steering.backends.assign(steeredName(config), wanted, inUse);
        this.#watch(pool, config, number);
        const hops = config.via.map(({ host, family }) => ({ family, ...resolveNextHop(host) }));
        return { number, hops, healthy: pool.health === undefined };
      }),
    );
  }

  #watch(pool: PoolConfig, config: BackendConfig, number: number): void {
    const names = { pool: pool.name, backend: config.name };
    const checker =
      pool.health === undefined || config.http === undefined
        ? undefined
        : new HealthChecker(config.http, pool.health, (up, cause) => {
            this.logger[up ? 'info' : 'warn']({ ...names, cause }, up ? 'backend is healthy' : 'backend is unhealthy');
            this.#threads?.setHealth(pool.name, config.name, up);
          });
    const agent = this.#agentAt(config.agent);
    agent.numbers.add(number);
    this.backends.push({ pool, config, number, checker, agent });
  }

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
          if (!this.#stopping) this.logger.warn({ agent: key, cause }, 'control channel is down');
        },
        onFlows: (flows, last) => this.keeper.listed(key, flows, last, askedAt, numbers),
        onClosed: (flows) => this.keeper.closed(flows),
      },
    );
    const made: WatchedAgent = { endpoint, numbers, link };
    this.#agents.set(key, made);
    return made;
  }

  async #collect(): Promise<StatsSnapshot> {
    const threads = await this.observeThreads();
    const counts = this.flowCounts();
    const samples: Sample[] = [{ name: 'flow_capacity', labels: {}, value: this.steering.flows.capacity }];
    for (const backend of this.backends) {
      const labels = { pool: backend.pool.name, backend: backend.config.name };
      samples.push({ name: 'backend_up', labels, value: this.isUp(backend) ? 1 : 0 });
    }
    const byNumber = new Map(this.backends.map((backend) => [backend.number, backend.config.name]));
    for (const [number, name] of byNumber) {
      const totals = this.steering.backends.totals(number);
      const labels = { backend: name };
      samples.push({ name: 'flows', labels, value: counts.get(number) ?? 0 });
      samples.push({ name: 'steered_packets_total', labels, value: totals.packets });
      samples.push({ name: 'steered_bytes_total', labels, value: totals.bytes });
    }
    return mergeStats([threads.stats, { samples, histograms: [] }]);
  }
}

/** What the flow table knows a backend by: another agent under the same name is another backend. */
function steeredName(config: BackendConfig): string {
  return `${config.name}@${config.agent.host}:${config.agent.port}`;
}
