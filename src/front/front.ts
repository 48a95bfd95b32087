/**
 * The front's main thread: everything but the data path. Loads the steering program, runs one generation of accepting
 * threads after the other, and answers the admin API.
 */
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { INSECURE_WARNING } from '../config/control';
import type { FrontConfig } from '../config/model';
import { mustNotChange } from '../config/unchanged';
import { adviceOnPassing } from '../kernel/capabilities';
import { raiseFileLimit } from '../kernel/libc';
import { createAdmin, listenAdmin } from '../observe/admin';
import { AdminAccess, readToken } from '../observe/admin-access';
import { droppedLines } from '../observe/log';
import { createRegistry } from '../observe/registry';
import { mergeStats, type Sample, type StatsSnapshot } from '../observe/stats';
import { prepareFreeze } from '../repair/freeze';
import { Steering } from '../steer/steering';
import { expiryOf } from '../wire/identity';
import { addFrontRoutes } from './admin-routes';
import { Counters } from './counters';
import { Generation } from './generation';
import { Listeners } from './listeners';
import { sumStatus, type WorkerStatus } from './messages';

/**
 * How long connections in the front's own hands may take to finish when it stops. Handed-off ones need nobody to wait;
 * after a reload those of the old generation have all the time they want.
 */
const GRACE_MS = 10_000;
/** Counting a large table costs time; scrapes closer together than this share one count. */
const FLOW_COUNT_MAX_AGE_MS = 1000;

export interface FrontEvents {
  /** Reads the configuration for a reload; throws an Error that says what is wrong with it. */
  loadConfig: () => FrontConfig;
  /**
   * Called when a part of a running front breaks: the process should end then and be started again, its connections
   * live on.
   */
  failed: (message: string) => void;
}

export class Front {
  readonly #listeners = new Listeners();
  #generation: Generation | undefined;
  #admin: FastifyInstance | undefined;
  #access: AdminAccess | undefined;
  #stopping = false;
  /** Generations on their way out; what they counted is added to `#counted` when they are gone. */
  readonly #retiring = new Map<Generation, Promise<void>>();
  #counted: StatsSnapshot = { samples: [], histograms: [] };
  #reloads = { ok: 0, failed: 0 };
  #reloading: Promise<void> = Promise.resolve();
  readonly #flowsReset = new Counters();
  #flowCounts = { at: -Infinity, byNumber: new Map<number, number>() };

  private constructor(
    readonly steering: Steering,
    private readonly events: FrontEvents,
    private readonly logger: Logger,
  ) {}

  /** Starts a front; throws an Error whose message names the step and the cause. */
  static async start(config: FrontConfig, events: FrontEvents, logger: Logger): Promise<Front> {
    const files = raiseFileLimit();
    const notPassedOn = adviceOnPassing('CAP_NET_ADMIN');
    // Without it `ip` could not ask the neighbours, and a host that is only hard to reach would be taken for gone.
    if (notPassedOn !== undefined) throw new Error(`capabilities: ${notPassedOn}`);
    const steering = Steering.open({
      interface: config.steering.interface,
      pin: config.steering.pin,
      maxFlows: config.steering.max_flows,
    });
    const front = new Front(steering, events, logger);
    try {
      await front.#start(config);
    } catch (error) {
      // The reason for the failed start is what counts, whatever else goes wrong on the way out.
      await front.#end().catch(() => undefined);
      steering.abandon();
      throw error;
    }
    logger.info(
      { workers: config.workers, files, flow_capacity: steering.flows.capacity },
      'front is serving',
    );
    return front;
  }

  get serving(): boolean {
    return this.#generation !== undefined && !this.#stopping;
  }

  /** The generation that accepts connections now. */
  get generation(): Generation {
    if (this.#generation === undefined)
      throw Object.assign(new Error('front is starting'), { statusCode: 503 });
    return this.#generation;
  }

  /** Stops accepting, lets connections in hand finish for a while, and leaves the steering as it is. */
  async stop(): Promise<void> {
    await this.#end();
    this.steering.close();
  }

  async #end(): Promise<void> {
    this.#stopping = true;
    await this.#reloading.catch(() => undefined);
    if (this.#generation === undefined) this.#listeners.abandon(undefined);
    else this.#retire(this.#generation, this.#listeners.keepOnly(undefined));
    for (const generation of this.#retiring.keys()) generation.hurry(GRACE_MS);
    await Promise.all(this.#retiring.values());
    await this.#admin?.close();
  }

  /**
   * Reads the configuration anew, all or nothing: the new generation listens before the old one stops. Rejects with the
   * reason, and the old one goes on. Reloads wait for each other.
   */
  reload(): Promise<void> {
    this.#reloading = this.#reloading
      .catch(() => undefined)
      .then(() => this.#replace(this.events.loadConfig()))
      .then(
        () => {
          this.#reloads.ok += 1;
          this.logger.info('configuration reloaded');
        },
        (error: unknown) => {
          this.#reloads.failed += 1;
          this.logger.error({ cause: String(error) }, 'reload failed, the old configuration stays');
          throw error;
        },
      );
    return this.#reloading;
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

  /** What all threads counted, those of earlier generations included, and the state of those that run. */
  async observe(): Promise<{ stats: StatsSnapshot; status: WorkerStatus }> {
    const retiring = [...this.#retiring.keys()].map((generation) => generation.observe());
    const [current, ...others] = await Promise.all([this.generation.observe(), ...retiring]);
    const all = [current, ...others];
    return {
      stats: mergeStats([this.#counted, ...all.map(({ stats }) => stats)]),
      status: sumStatus(all.map(({ status }) => status)),
    };
  }

  async #start(config: FrontConfig): Promise<void> {
    if (config.control.insecure) this.logger.warn(INSECURE_WARNING);
    if (this.steering.keptCapacity) {
      this.logger.warn(
        { capacity: this.steering.flows.capacity, max_flows: config.steering.max_flows },
        'the pinned flow table keeps its size: remove the pin directory while no flow is live to change it',
      );
    }
    for (const repaired of this.steering.repaired) this.logger.warn({ repaired }, 'steering.pin');
    // First, because a port that is taken shows at once; until the generation serves, /readyz says so.
    const registry = createRegistry('front', () => this.#collect());
    const access = new AdminAccess(config.admin, this.logger);
    this.#access = access;
    this.#admin = createAdmin({ registry, ready: () => this.serving, access, logger: this.logger });
    addFrontRoutes(this.#admin, this);
    const address = await listenAdmin(this.#admin, config.admin.listen);
    this.#generation = await this.#begin(config);
    this.logger.info(address, 'admin API is listening');
  }

  #begin(config: FrontConfig): Promise<Generation> {
    const older = [...this.#retiring.keys(), ...(this.#generation === undefined ? [] : [this.#generation])];
    const backends = older.flatMap((generation) => generation.backends);
    const inherited = {
      steering: this.steering,
      freezeFilter: prepareFreeze(),
      numbersInUse: new Set([...this.flowCounts().keys(), ...backends.map(({ number }) => number)]),
      listeners: this.#listeners.prepare(config),
      flowsReset: this.#flowsReset,
      knownHealth: new Map(backends.map((backend) => [backend.healthKey, backend.healthy])),
    };
    return Generation.start(config, inherited, this.logger, this.events.failed);
  }

  async #replace(config: FrontConfig): Promise<void> {
    if (this.#stopping) throw new Error('front is stopping');
    const old = this.generation;
    mustNotChange('node', old.config.node, config.node);
    mustNotChange('steering', old.config.steering, config.steering);
    mustNotChange('admin.listen', old.config.admin.listen, config.admin.listen);
    // A rotated token is no changed configuration, but one that cannot be read is a failed reload.
    const token = readToken(config.admin);
    if (config.control.insecure && !old.config.control.insecure) this.logger.warn(INSECURE_WARNING);
    try {
      this.#generation = await this.#begin(config);
    } catch (error) {
      this.#listeners.abandon(old.config);
      throw error;
    }
    this.#access?.useToken(token);
    this.#retire(old, this.#listeners.keepOnly(config));
  }

  #retire(generation: Generation, keep: readonly number[]): void {
    const gone = generation.retire(keep).then((counted) => {
      this.#counted = mergeStats([this.#counted, counted]);
      this.#retiring.delete(generation);
    });
    this.#retiring.set(generation, gone);
  }

  async #collect(): Promise<StatsSnapshot> {
    const { stats } = await this.observe();
    const { backends } = this.generation;
    const counts = this.flowCounts();
    const samples: Sample[] = [
      { name: 'flow_capacity', labels: {}, value: this.steering.flows.capacity },
      { name: 'log_lines_dropped_total', labels: {}, value: droppedLines() },
      { name: 'config_reloads_total', labels: { result: 'ok' }, value: this.#reloads.ok },
      { name: 'config_reloads_total', labels: { result: 'failed' }, value: this.#reloads.failed },
    ];
    for (const backend of backends) {
      const labels = { pool: backend.pool.name, backend: backend.config.name };
      samples.push({ name: 'backend_up', labels, value: backend.up ? 1 : 0 });
    }
    const { node, control } = this.generation.config;
    if (control.tls !== undefined) {
      const value = expiryOf(control.tls.pem.cert);
      samples.push({ name: 'certificate_expiry_timestamp_seconds', labels: { node }, value });
    }
    // A backend of several pools is one to steering.
    for (const [number, name] of new Map(backends.map(({ number, config }) => [number, config.name]))) {
      const totals = this.steering.backends.totals(number);
      const labels = { backend: name };
      samples.push({ name: 'flows', labels, value: counts.get(number) ?? 0 });
      samples.push({ name: 'flows_reset_total', labels, value: this.#flowsReset.get(name) });
      samples.push({ name: 'steered_packets_total', labels, value: totals.packets });
      samples.push({ name: 'steered_bytes_total', labels, value: totals.bytes });
    }
    return mergeStats([stats, { samples, histograms: [] }]);
  }
}
