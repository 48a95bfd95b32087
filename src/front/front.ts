/**
 * The front's main thread: everything but the data path. Loads the steering program, runs one generation of accepting
 * threads after the other, answers the admin API, and passes all of it on to a successor.
 */
import type { Logger } from 'pino';
import { INSECURE_WARNING } from '../config/control';
import type { FrontConfig } from '../config/model';
import { mustNotChange } from '../config/unchanged';
import { addressOf } from '../kernel/bound-socket';
import { adviceOnPassing } from '../kernel/capabilities';
import { raiseFileLimit } from '../kernel/libc';
import { createAdmin } from '../observe/admin';
import { AdminAccess, readToken } from '../observe/admin-access';
import { AdminApi } from '../observe/admin-api';
import { createRegistry } from '../observe/registry';
import { mergeStats, type Sample, type StatsSnapshot } from '../observe/stats';
import { prepareFreeze } from '../repair/freeze';
import type { HandoffId } from '../steer/flow-table';
import { NextHops } from '../steer/next-hops';
import { Steering } from '../steer/steering';
import type { InheritedSockets } from '../succession/inherited-sockets';
import { Succession, type Legacy } from '../succession/succession';
import type { KeepReason, Wish } from '../wire/hand-back';
import { addFrontRoutes } from './admin-routes';
import { ConnectionCounts } from './connection-counts';
import { Counters } from './counters';
import { changesBetween, Discovery } from './discovery';
import { Drains } from './drains';
import { FlowCounts } from './flow-counts';
import { gaugesOf } from './gauges';
import { Generation } from './generation';
import { Listeners } from './listeners';
import { sumStatus, type Moved, type WorkerStatus } from './messages';
import { Mover, type MoveAnswer } from './mover';
import { Owners } from './owners';
import { planFor } from './rebalancing';
import type { Predecessor } from './predecessor';
import { VERSION, type Bequest, type Serving, type ToSuccessor } from './succession-messages';
import type { WatchedBackend } from './watched-backend';

/**
 * How long connections in the front's own hands may take to finish when it stops. Handed-off ones need nobody to wait;
 * after a reload those of the old generation have all the time they want.
 */
const GRACE_MS = 10_000;
/**
 * How long they may take when a successor serves: as long as a relay lets one request take (relay/server.ts). Only then, or
 * at a SIGTERM, the time above begins.
 */
const SUCCEEDED_GRACE_MS = 3_600_000;
/**
 * Generations on their way out, each with its threads, that changes of discovered backends may leave behind: a name that
 * changes every second must not fill the memory with those that relay a long download.
 */
const MOST_RETIRING = 8;

export interface FrontEvents {
  /** Reads the configuration for a reload; throws an Error that says what is wrong with it. */
  loadConfig: () => FrontConfig;
  /**
   * Called when a part of a running front breaks: the process should end then and be started again, its connections
   * live on.
   */
  failed: (message: string) => void;
}

const NOTHING_COUNTED: StatsSnapshot = { samples: [], histograms: [] };

/** Where a front comes from. */
export interface Origin {
  readonly sockets: InheritedSockets;
  /** The front that has started this one as its successor. */
  readonly predecessor: Predecessor | undefined;
}

export class Front {
  readonly #listeners: Listeners;
  #generation: Generation | undefined;
  #admin: AdminApi | undefined;
  #access: AdminAccess | undefined;
  readonly #succession: Succession<Bequest, Serving>;
  #stopping = false;
  /** Generations on their way out; what they counted is added to `#counted` when they are gone. */
  readonly #retiring = new Map<Generation, Promise<void>>();
  #counted = NOTHING_COUNTED;
  #reloads = { ok: 0, failed: 0 };
  #reloading: Promise<void> = Promise.resolve();
  readonly #flowsReset = new Counters();
  readonly #ejections = new Counters();
  readonly #drains: Drains;
  readonly #mover: Mover;
  /** Which backends connections have had. */
  readonly owners = new Owners();
  /** Backends whose connections are being asked for, by number. */
  readonly #evacuated = new Set<number>();
  /** Pools that are being rebalanced. */
  readonly #rebalanced = new Set<string>();
  readonly #discovery: Discovery;
  /** As of the last load: none of the discovered backends is in it. */
  #loaded: FrontConfig | undefined;
  #hops = new NextHops();
  #reviewing = false;
  #reviewFailed = '';
  /** Once there are limits, all generations count. */
  #counts: ConnectionCounts | undefined;
  readonly #flowCounts: FlowCounts;

  private constructor(
    readonly steering: Steering,
    private readonly events: FrontEvents,
    private readonly logger: Logger,
    private readonly origin: Origin,
  ) {
    this.#listeners = new Listeners(origin.sockets);
    this.#succession = new Succession('front', logger);
    this.#flowCounts = new FlowCounts(steering.flows);
    this.#discovery = new Discovery(logger, () => this.#review(), origin.predecessor?.bequest.discovered);
    this.#drains = new Drains(
      () => this.#generation?.backends ?? [],
      (backend) => this.flowsOf(backend),
      (backend) => this.#evacuate(backend),
      logger,
    );
    this.#mover = new Mover(
      steering.flows,
      (backend) => this.#generation?.backends.find(({ number }) => number === backend)?.link,
    );
  }

  /** Starts a front; throws an Error whose message names the step and the cause. */
  static async start(
    config: FrontConfig,
    events: FrontEvents,
    logger: Logger,
    origin: Origin,
  ): Promise<Front> {
    const files = raiseFileLimit();
    const notPassedOn = adviceOnPassing('CAP_NET_ADMIN');
    // Without it `ip` could not ask the neighbours, and a host that is only hard to reach would be taken for gone.
    if (notPassedOn !== undefined) throw new Error(`capabilities: ${notPassedOn}`);
    origin.predecessor?.expectSameTable(config.steering, logger);
    const steering = Steering.open({
      interface: config.steering.interface,
      pin: config.steering.pin,
      maxFlows: config.steering.max_flows,
      mustExist: origin.predecessor !== undefined,
    });
    const front = new Front(steering, events, logger, origin);
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

  /** Makes a stopping front give up what is left after a while, its successor or not. */
  hurry(): void {
    for (const generation of this.#retiring.keys()) generation.hurry(GRACE_MS);
  }

  /**
   * Starts a successor with this front's listening sockets. Resolves with its pid when it serves; `stop` is the next thing to
   * do then, and takes the time that connections in hand need. Undefined when there is none: the log says why, and this
   * front goes on as before.
   */
  succeed(): Promise<number | undefined> {
    const before = this.#reloading.catch(() => undefined);
    const attempt = this.#succession.attempt(() => before.then(() => this.#legacy()));
    // Reloads wait: the successor is told what this front is doing now.
    this.#reloading = Promise.all([before, attempt]).then(() => undefined);
    return attempt;
  }

  #legacy(): Legacy<Bequest> {
    // The current generation knows best, and so comes last.
    const generations = [...this.#retiring.keys(), this.generation];
    const backends = generations.flatMap((generation) => generation.backends);
    return {
      sockets: [...this.#listeners.all(), ...(this.#admin === undefined ? [] : [this.#admin.socket()])],
      bequest: {
        version: VERSION,
        steering: this.generation.config.steering,
        numbers: [...new Set(backends.map(({ number }) => number))],
        backends: backends.map(({ known }) => known).reverse(),
        discovered: this.#discovery.known,
      },
    };
  }

  async #end(): Promise<void> {
    this.#stopping = true;
    this.#drains.stop();
    this.#discovery.stop();
    this.#succession.abort();
    await this.#reloading.catch(() => undefined);
    const { successor } = this.#succession;
    const counted = successor === undefined ? NOTHING_COUNTED : (await this.observe()).stats;
    const given = this.#listeners.keepOnly(undefined);
    if (this.#generation !== undefined) {
      const last = given.filter((address) => successor?.answer.addresses.includes(address) !== true);
      this.#retire(this.#generation, last);
    }
    if (successor !== undefined) {
      // Open requests are answered; the successor accepts the next ones, and answers them with these counts and its own.
      const { listen } = this.generation.config.admin;
      this.#admin?.leave(successor.answer.addresses.includes(addressOf(listen)));
      await successor.tell({ type: 'admin', counted } satisfies ToSuccessor);
      setTimeout(() => this.hurry(), SUCCEEDED_GRACE_MS).unref();
    } else {
      this.hurry();
    }
    await Promise.all(this.#retiring.values());
    if (successor !== undefined) {
      const all = mergeStats([this.#counted, this.#ownCounts()]);
      await successor.tell({ type: 'counted', counted: all } satisfies ToSuccessor);
    }
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

  /**
   * Lets a backend of a pool have no new connections, or have them again, ejected or not; those that it has stay. It holds
   * through reloads and planned restarts, as long as the configuration has the backend. Undefined where it has no such backend.
   */
  setDraining(pool: string, name: string, draining: boolean): WatchedBackend | undefined {
    const backend = this.generation.find(pool, name);
    if (backend === undefined) return undefined;
    // An earlier generation relays requests still.
    for (const each of this.#retiring.keys()) each.find(pool, name)?.drain(draining);
    backend.drain(draining);
    if (draining) {
      // Whether it has none left must not be told of the second before.
      this.#flowCounts.forget();
      this.#drains.watch();
      this.#evacuate(backend);
    }
    return backend;
  }

  /** Moves the connection of a flow to a backend, or away from its own for ''. */
  move(flow: Buffer, backend: string): Promise<MoveAnswer> {
    return this.#mover.move(flow, { reason: 'move', pool: '', backend });
  }

  /**
   * Has connections of a pool move until its policy's distribution holds again; returns how many at most, or why it cannot be
   * done. Undefined where there is no such pool.
   */
  rebalance(name: string): { readonly moves: number } | string | undefined {
    const own = this.generation.backends.filter(({ pool }) => pool.name === name);
    const pool = own[0]?.pool ?? this.generation.config.pools.find((each) => each.name === name);
    if (pool === undefined) return undefined;
    if (this.#rebalanced.has(name))
      return 'it is being rebalanced: wait until moves_total{reason="rebalance"} stands still';
    const eligible = own.filter((backend) => backend.eligible && backend.ejection === undefined);
    const plan = planFor(pool, eligible, (backend) => this.flowsOf(backend));
    if (typeof plan === 'string') return plan;
    this.#rebalanced.add(name);
    const unwanted = (): boolean => this.#stopping || plan.left === 0;
    const wishFor = (flow: Buffer, number: number): Wish | undefined => {
      const from = eligible.find((backend) => backend.number === number);
      const backend = from && plan.destinationFor(from.name, flow);
      return backend === undefined ? undefined : { reason: 'rebalance', pool: name, backend };
    };
    const moves = plan.left;
    this.#mover
      .rebalance(wishFor, unwanted)
      .catch(this.#cannotAsk)
      .finally(() => this.#rebalanced.delete(name));
    return { moves };
  }

  readonly #cannotAsk = (cause: unknown): void => {
    this.logger.error({ cause: String(cause) }, 'cannot ask for connections that are to move');
  };

  /** Has the connections of a backend move to others of its pool. */
  #evacuate(backend: WatchedBackend): void {
    const { number, pool } = backend;
    // Its agent was told to, and sees to it by itself.
    if (this.#evacuated.has(number) || backend.agent.draining) return;
    this.#evacuated.add(number);
    const wish = { reason: 'drain', pool: pool.name, backend: '' } as const;
    const unwanted = (): boolean => this.#stopping || !backend.draining;
    this.#mover
      .moveAll(number, wish, unwanted)
      .catch(this.#cannotAsk)
      .finally(() => this.#evacuated.delete(number));
  }

  /** Connections that were handed to a backend from here, by whatever pool, and are not over. */
  flowsOf({ number }: WatchedBackend): number {
    return Math.max(0, (this.flowCounts().get(number) ?? 0) - this.generation.keeper.lingeringOf(number));
  }

  /** Entries of the flow table by backend number, at most a second old. */
  flowCounts(): ReadonlyMap<number, number> {
    return this.#flowCounts.byNumber();
  }

  /** What all threads counted, those of earlier generations and fronts included, and the state of those that run. */
  async observe(): Promise<{ stats: StatsSnapshot; status: WorkerStatus }> {
    const generations = new Set([this.generation, ...this.#retiring.keys()]);
    // As of now: one of them may be gone, and counted there as well, before the others have answered.
    const counted = this.#counted;
    const all = await Promise.all([...generations].map((generation) => generation.observe()));
    return {
      stats: mergeStats([counted, this.#ownCounts(), ...all.map(({ stats }) => stats)]),
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
    const { sockets, predecessor } = this.origin;
    const [inherited] = sockets.take(addressOf(config.admin.listen));
    const registry = createRegistry('front', () => this.#collect());
    const access = (this.#access = new AdminAccess(config.admin, this.logger));
    const app = createAdmin({ registry, ready: () => this.serving, access, logger: this.logger });
    addFrontRoutes(app, this);
    const admin = (this.#admin = new AdminApi(app, config.admin.listen, inherited, this.logger));
    const shared = predecessor !== undefined && inherited !== undefined;
    // First, because a port that is taken shows at once; until the generation serves, /readyz says so.
    if (!shared) await admin.open();
    await this.#discovery.prepare(config);
    this.#discovery.commit();
    this.#loaded = config;
    this.#generation = await this.#begin(this.#discovery.fill(config, this.#hops));
    // An answer that has come meanwhile.
    this.#review();
    this.#drains.watch();
    if (sockets.taken.length > 0) {
      const from = predecessor === undefined ? 'service manager' : `front with pid ${predecessor.pid}`;
      this.logger.info({ sockets: sockets.taken, from }, 'listening sockets taken over');
    }
    await predecessor?.serving(sockets.taken);
    if (shared) void admin.openAfter(predecessor.adminFree());
  }

  #begin(config: FrontConfig): Promise<Generation> {
    const { sockets, predecessor } = this.origin;
    const older = [...this.#retiring.keys(), ...(this.#generation === undefined ? [] : [this.#generation])];
    const backends = older.flatMap((generation) => generation.backends);
    const numbers = [...backends.map(({ number }) => number), ...(predecessor?.numbers ?? [])];
    // The current generation knows best.
    const known = backends.map((backend) => backend.known).reverse();
    if (config.listeners.some(({ limits }) => limits !== undefined)) this.#counts ??= new ConnectionCounts();
    const inherited = {
      ...(this.#counts && { counts: this.#counts }),
      ...(this.#generation && { keeper: this.#generation.keeper }),
      steering: this.steering,
      hops: this.#hops,
      freezeFilter: prepareFreeze(),
      numbersInUse: new Set([...this.flowCounts().keys(), ...numbers]),
      listeners: this.#listeners.prepare(config),
      flowsReset: this.#flowsReset,
      ejections: this.#ejections,
      moves: {
        moved: (what: Moved) => {
          this.owners.moved(what);
          this.#mover.moved(what.flow);
        },
        kept: (id: HandoffId, reason: KeepReason) => this.#mover.kept(id, reason),
      },
      known: this.#generation === undefined ? predecessor?.bequest.backends : known,
    };
    // A predecessor still accepts where this configuration no longer listens, and sees to the end of it.
    if (predecessor === undefined) sockets.expectNoneLeft();
    else sockets.closeRest();
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
    await this.#discovery.prepare(config);
    // Routes may have changed as well.
    this.#hops = new NextHops();
    try {
      await this.#exchange(this.#discovery.fill(config, this.#hops));
    } catch (error) {
      this.#discovery.abandon();
      throw error;
    }
    this.#discovery.commit();
    this.#loaded = config;
    this.#access?.useToken(token);
  }

  async #exchange(config: FrontConfig): Promise<void> {
    const old = this.generation;
    try {
      this.#generation = await this.#begin(config);
    } catch (error) {
      this.#listeners.abandon();
      throw error;
    }
    // What was asked for while the new one was starting.
    for (const backend of this.generation.backends) {
      const before = old.find(backend.pool.name, backend.config.name)?.known.draining;
      if (before !== undefined && before !== backend.known.draining) backend.drain(before);
    }
    this.#drains.watch();
    this.#retire(old, this.#listeners.keepOnly(config));
  }

  /** Takes over what discovery knows by now, after the reloads that are under way. */
  #review(): void {
    if (this.#reviewing) return;
    this.#reviewing = true;
    this.#reloading = this.#reloading
      .catch(() => undefined)
      .then(() => {
        this.#reviewing = false;
        return this.#rediscover();
      })
      .then(
        () => (this.#reviewFailed = ''),
        (error: unknown) => {
          const cause = String(error);
          // It is tried again with each answer.
          if (cause !== this.#reviewFailed)
            this.logger.error({ cause }, 'discovered backends cannot be used, the old ones stay');
          this.#reviewFailed = cause;
        },
      )
      .then(() => undefined);
  }

  async #rediscover(): Promise<void> {
    if (this.#stopping || this.#generation === undefined || this.#loaded === undefined) return;
    const config = this.#discovery.fill(this.#loaded, this.#hops);
    const changes = changesBetween(this.#generation.config, config);
    if (changes.length === 0) return;
    await this.#exchange(config);
    for (const change of changes) this.logger.info(change, 'discovered backends have changed');
    const tooMany = [...this.#retiring.keys()].slice(0, -MOST_RETIRING);
    if (tooMany.length === 0) return;
    this.logger.warn(
      { retiring: this.#retiring.size },
      `discovered backends change faster than connections end: the oldest have ${GRACE_MS / 1000} s`,
    );
    for (const generation of tooMany) generation.hurry(GRACE_MS);
  }

  #retire(generation: Generation, last: readonly string[]): void {
    const gone = generation.retire(last).then((counted) => {
      this.#counted = mergeStats([this.#counted, counted]);
      this.#retiring.delete(generation);
    });
    this.#retiring.set(generation, gone);
  }

  async #collect(): Promise<StatsSnapshot> {
    const { stats } = await this.observe();
    const samples = gaugesOf(this.generation, this.steering, this.#flowCounts.byNumber());
    return mergeStats([stats, { samples, histograms: [] }]);
  }

  /** What the main thread has counted, and what the front before this one has. */
  #ownCounts(): StatsSnapshot {
    const samples: Sample[] = [
      { name: 'config_reloads_total', labels: { result: 'ok' }, value: this.#reloads.ok },
      { name: 'config_reloads_total', labels: { result: 'failed' }, value: this.#reloads.failed },
    ];
    for (const backend of new Set(this.generation.backends.map(({ config }) => config.name))) {
      samples.push({ name: 'flows_reset_total', labels: { backend }, value: this.#flowsReset.get(backend) });
    }
    for (const { ejections } of this.generation.watches) samples.push(...ejections);
    const own = { samples: [...samples, ...this.#discovery.samples()], histograms: [] };
    return mergeStats([own, this.origin.predecessor?.counted ?? NOTHING_COUNTED]);
  }
}
