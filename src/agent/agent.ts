import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { formatVip } from '../config/addresses';
import { INSECURE_WARNING } from '../config/control';
import type { AdminConfig, AgentConfig } from '../config/model';
import { mustNotChange } from '../config/unchanged';
import { addressOf } from '../kernel/bound-socket';
import { unreserved } from '../kernel/descriptors';
import { KernelError } from '../kernel/errors';
import { formatFlow, parseAddress } from '../kernel/flow';
import { raiseFileLimit } from '../kernel/libc';
import { descriptorOf } from '../kernel/node-socket';
import { SockDiag } from '../kernel/sock-diag';
import { unreadBytes } from '../kernel/socket';
import { createAdmin } from '../observe/admin';
import { AdminAccess, readToken } from '../observe/admin-access';
import { AdminApi } from '../observe/admin-api';
import { droppedLines } from '../observe/log';
import { LogThrottle } from '../observe/log-throttle';
import { DurationHistogram } from '../observe/duration-histogram';
import { createRegistry } from '../observe/registry';
import { mergeStats, type StatsSnapshot } from '../observe/stats';
import { OpenConnections } from '../relay/open-connections';
import { prepareAnyFreeze } from '../repair/freeze';
import { PER_REQUEST } from '../repair/layout';
import { rehearse } from '../repair/rehearsal';
import type { FlowRecord } from '../steer/flow-table';
import type { KeepReason, MoveReason, Wish } from '../wire/hand-back';
import { expiryOf } from '../wire/identity';
import { addAgentRoutes } from './admin-routes';
import { AccessLog } from './access-log';
import { ApplicationMoves } from './application-moves';
import { Adopter, ADOPTION_RESULTS, type Arrival } from './adopter';
import { listenBesideOthers } from './beside-others';
import { announce } from './connection-of';
import { ControlServer } from './control-server';
import { Departures, PlainMovable, type Movable } from './departures';
import { Estate } from './estate';
import { HandBacks } from './hand-backs';
import { Inheritance } from './inheritance';
import { LiveConnections, type LiveConnection } from './live-connections';
import { Detours, DIVERSIONS } from './detour';
import { OneRequest } from './one-request';
import type { OrdinaryListener } from './ordinary-listener';
import type { TakenOut } from './passing';
import type { Predecessor } from './predecessor';
import { Inlet, RequestGate, type HandBack, type HandBackOutcomes } from './request-gate';
import { RejectedOffer } from './rejected-offer';
import { Responses } from './responses';
import { Retirement } from './retirement';
import { adoptFor, serves, type Services } from './services';
import { StickyCookie } from './sticky-cookie';
import type { Ready } from './succession-messages';
import { TcpConnections, type LetGo } from './tcp-connections';
import { Undelivered } from './undelivered';
import { addressesOf, manageVips, missingVips } from './vips';

/** How long a stopping agent lets running requests finish. */
export const GRACE_MS = 10_000;
/** Far more than a turn of the event loop. */
const ENDED_MS = 20;
/** How often a draining agent asks its connections again to leave. */
const DRAIN_AGAIN_MS = 1000;
/** How often a retiring agent looks whether its last connection is gone. */
const RETIRE_POLL_MS = 20;
const NOTHING = Buffer.alloc(0);
/** Keys that need a restart. */
const UNCHANGEABLE = ['node', 'vips', 'manage_vips', 'serve', 'sticky_cookie'] as const;

/** Where an agent comes from, and what is there beside it; a service that has attached one has none of this. */
export interface Origin {
  /** The agent that has started this one as its successor. */
  readonly predecessor?: Predecessor | undefined;
  /** Where the application listens for ordinary connections. */
  readonly ordinary?: OrdinaryListener | undefined;
}

/**
 * An agent: takes connections over from fronts and gives them to an http.Server as ordinary ones, or to an application that
 * adopts them.
 */
export class Agent {
  readonly live: LiveConnections;
  readonly adopter: Adopter;
  readonly control: ControlServer;
  readonly #restoreDuration = new DurationHistogram();
  readonly #responses = new Responses();
  readonly #begun = new WeakSet<ServerResponse>();
  readonly #handBacks: HandBacks;
  readonly departures: Departures;
  readonly #applicationMoves: ApplicationMoves;
  /** Connections without a head. */
  readonly #raw = new WeakSet<LiveConnection>();
  /** Until when connections that are to leave are not closed, performance.now(). */
  #leavingUntil = Infinity;
  #drainTimer: NodeJS.Timeout | undefined;
  /** Sockets that came from a front, with what they are: the server may have others. */
  readonly #adopted = new WeakMap<Duplex, LiveConnection>();
  /** Those of them that carry one request. */
  readonly #oneRequests = new WeakMap<Socket, OneRequest>();
  /** Those whose later requests are judged. */
  readonly #gates = new WeakMap<Socket, RequestGate>();
  /** For requests that are not the server's. */
  readonly #detours: Detours;
  /** All of the server, of which the adopted ones are ended here. */
  readonly #connections: OpenConnections | undefined;
  readonly #tcp: TcpConnections;
  readonly #undelivered: Undelivered;
  /** What the process before this one has still. */
  readonly #estate = new Estate();
  readonly #retirement: Retirement;
  readonly #sockDiag: SockDiag | undefined;
  /** Ends what the access log hears of upgrades by. */
  readonly #ignoreUpgrades: (() => void) | undefined;
  /** Takes back that applications find their connections here. */
  readonly #retract: () => void;
  #admin: AdminApi | undefined;
  #access: AdminAccess | undefined;
  #serving = false;
  /** When its certificate ends, seconds since 1970. */
  #certificateExpiry: number | undefined;
  readonly #stickyCookie: StickyCookie | undefined;

  private constructor(
    readonly config: AgentConfig,
    private readonly services: Services,
    private readonly logger: Logger,
    private readonly accessLog: AccessLog | undefined,
    private readonly origin: Origin,
  ) {
    this.live = new LiveConnections((connection, delivered) => {
      if (delivered) this.control.reportClosed(connection);
      else this.#undelivered.add(connection);
    });
    this.#sockDiag = openSockDiag(logger);
    this.#undelivered = new Undelivered(
      (flow) => this.#sockDiag?.find(flow, 0),
      (flow) => this.#holderOf(flow.toString('latin1')) !== undefined,
      (connection) => this.control.reportClosed(connection),
    );
    this.adopter = new Adopter({
      vips: config.vips.map(({ host, port }) => ({
        address: parseAddress(host),
        ...(port !== undefined && { port }),
      })),
      live: this.live,
      holders: { holderOf: (flow) => this.#holderOf(flow) },
      reservedFrom: unreserved(raiseFileLimit()),
      serves: (arrival) => serves(services, arrival),
      makeWay: (flow) => {
        if (this.#handBacks.isLeaving(flow))
          throw new RejectedOffer('address_in_use', 'the flow is on its way from here');
        this.#handBacks.makeWay(flow);
      },
      admit: (connection, arrival) => this.#admit(connection, arrival),
      restored: (seconds) => this.#restoreDuration.observe(seconds),
      lost: (flow, cause) =>
        logger.error({ flow: formatFlow(flow), cause }, 'a committed connection could not go live'),
      voided: (record) => this.control.reportVoid(record),
    });
    const self = {
      node: config.node,
      vips: addressesOf(config.vips).map(({ host }) => host),
      // The pool is part of it: whoever moves a connection has to know where it belongs.
      details: true as const,
      judges: true as const,
    };
    this.#certificateExpiry = config.control.tls && expiryOf(config.control.tls.pem.cert);
    this.control = new ControlServer(
      self,
      config.control,
      this.adopter,
      this.#responses,
      logger,
      this.#undelivered,
      {
        taken: (line, id) => this.#handBacks.taken(line, id),
        returned: (line, id, reason) => this.#handBacks.returned(line, id, reason),
        reserved: (line, id) => this.#handBacks.reserved(line, id),
        lineLost: (line) => this.#handBacks.channelLost(line),
        move: (front, record, wish, kept) => this.#move(front, record, wish, kept),
      },
      this.#estate,
    );
    this.#handBacks = new HandBacks({
      lineTo: (front) => this.control.lineTo(front),
      forget: (connection) => this.live.forget(connection),
      voided: (record) => this.control.reportVoid(record),
    });
    this.departures = new Departures(this.#handBacks, (connection) => this.#movableOf(connection));
    this.#retirement = new Retirement(
      {
        config,
        live: this.live,
        adopter: this.adopter,
        control: this.control,
        handBacks: this.#handBacks,
        departures: this.departures,
        undelivered: this.#undelivered,
        estate: this.#estate,
        sockets: () => [
          ...(this.#admin === undefined ? [] : [this.#admin.socket()]),
          ...(origin.ordinary?.sockets() ?? []),
        ],
        takeOut: (connection, ready) => this.#takeOut(connection, ready),
      },
      logger,
    );
    const throttle = new LogThrottle();
    const failed =
      (what: string) =>
      ({ flow }: LiveConnection, cause: unknown): void => {
        if (throttle.allows(what))
          logger.error({ flow: formatFlow(flow), cause: String(cause) }, `the application failed to ${what}`);
      };
    const letGo: LetGo = (connection, state) =>
      this.#applicationMoves.letGo(connection, this.#wishFor(connection, 'detach', ''), state);
    this.#tcp = new TcpConnections(letGo, failed('adopt'));
    this.#applicationMoves = new ApplicationMoves({
      handBacks: this.#handBacks,
      isRaw: (connection) => this.#raw.has(connection),
      failed: failed('let go'),
    });
    this.#retract = announce((socket) => {
      const live = this.#adopted.get(socket);
      return live && this.#tcp.of(live);
    });
    if (config.sticky_cookie !== undefined)
      this.#stickyCookie = new StickyCookie(config.sticky_cookie, config.node);
    const { server } = services;
    this.#detours = new Detours(server?.keepAliveTimeout ?? 0);
    if (server === undefined) return;
    this.#connections = new OpenConnections(
      server,
      (socket) => {
        const connection = this.#adopted.get(socket);
        if (connection === undefined) return false;
        const leaves = this.#retirement.begun || this.#isLeaving(connection);
        return !leaves || performance.now() >= this.#leavingUntil;
      },
      (socket) => this.#gates.get(socket)?.busy === true,
    );
    server.on('connection', this.#attached);
    // In front of the application: it may answer, or be busy, before its listener returns.
    server.prependListener('request', this.#countRequest);
    // A listener takes over the answer to `Expect: 100-continue`, so there may be one only beside the application's own.
    if (server.listenerCount('checkContinue') > 0)
      server.prependListener('checkContinue', this.#countRequest);
    this.#ignoreUpgrades =
      accessLog &&
      listenBesideOthers(server, 'upgrade', (request: IncomingMessage) => accessLog.upgraded(request));
  }

  /** Starts an agent for those who serve; throws an Error whose message names the step and the cause. */
  static async start(
    config: AgentConfig,
    services: Services,
    logger: Logger,
    origin: Origin = {},
  ): Promise<Agent> {
    origin.predecessor?.expectSameNode(config.node);
    if (config.control.insecure) logger.warn(INSECURE_WARNING);
    const classicBecause = prepareAnyFreeze();
    const { lowPorts, destroying } = rehearse();
    if (lowPorts !== undefined) {
      logger.error({ cause: lowPorts }, 'offers for VIP ports below 1024 will be rejected');
    }
    if (destroying !== undefined) {
      logger.error(
        { cause: destroying },
        'offers of clients that use a port again too soon will be rejected',
      );
    }
    if (config.manage_vips) {
      for (const done of manageVips(addressesOf(config.vips))) logger.info({ done }, 'manage_vips');
    }
    const missing = missingVips(addressesOf(config.vips)).map(({ host }) => host);
    if (missing.length > 0) {
      logger.error(
        { vips: missing },
        'VIPs are not addresses of this host: offers for them will be rejected',
      );
    }
    const accessLog = config.access_log && new AccessLog(config.node, config.access_log);
    const agent = new Agent(config, services, logger, accessLog, origin);
    try {
      await agent.#start();
    } catch (error) {
      await agent.stop();
      throw error;
    }
    logger.info(
      {
        control: config.control.listen,
        vips: config.vips.map(formatVip),
        ...(classicBecause === undefined
          ? { freeze_filter: 'ebpf' }
          : { freeze_filter: 'classic, 10 µs slower at every adoption', because: classicBecause }),
      },
      'agent is serving',
    );
    return agent;
  }

  get serving(): boolean {
    return this.#serving;
  }

  /** Whether a connection of the server came from a front. */
  hasAdopted(socket: Socket): boolean {
    return this.#adopted.has(socket);
  }

  /** Asks all fronts for no more connections, or for them again; those that are open stay. */
  drain(draining: boolean): void {
    if (this.control.draining !== draining)
      this.logger.info({ connections: this.live.size }, draining ? 'draining' : 'ready again');
    this.control.draining = draining;
    clearInterval(this.#drainTimer);
    if (draining) this.#drainTimer = setInterval(() => this.#leaveAll(), DRAIN_AGAIN_MS).unref();
    if (draining) this.#leaveAll();
    else this.departures.cancel('drain');
  }

  /** Has all connections leave that are not about to: what could not before may have changed. */
  #leaveAll(): void {
    for (const connection of this.live)
      if (!this.#isLeaving(connection)) this.#leave(connection, 'drain', '');
  }

  /** Has a connection leave for another backend of its pool, or for the one that is named. */
  #leave(
    connection: LiveConnection,
    reason: MoveReason,
    backend: string,
    kept?: (reason: KeepReason) => void,
  ): void {
    const wish = this.#wishFor(connection, reason, backend);
    if (!this.#isApplications(connection)) {
      this.departures.leave(connection, wish, kept);
      return;
    }
    const asked = this.#applicationMoves.ask(connection, this.#tcp.of(connection), wish);
    asked.then(
      (why) => why !== undefined && kept?.(why),
      (cause: unknown) =>
        this.logger.error({ flow: formatFlow(connection.flow), cause: String(cause) }, 'move of a session'),
    );
  }

  /** Whether an application has it and no server: it was adopted, or has left HTTP and says how it moves. */
  #isApplications(connection: LiveConnection): boolean {
    return this.#raw.has(connection) || this.#tcp.has(connection);
  }

  #wishFor({ details }: LiveConnection, reason: MoveReason, backend: string): Wish {
    return { reason, pool: details?.pool ?? '', backend };
  }

  #isLeaving(connection: LiveConnection): boolean {
    return this.departures.has(connection) || this.#applicationMoves.has(connection);
  }

  /** A front asks for a connection; of one that belongs to another pool it does not speak. */
  #move(
    front: string,
    record: FlowRecord,
    { reason, pool, backend }: Wish,
    kept: (reason: KeepReason) => void,
  ): void {
    const connection = this.live.find(record);
    if (connection?.front !== front || (pool !== '' && pool !== connection.details?.pool)) kept('unknown');
    // A backend that drains goes on trying; whoever else asks wants to hear that it stays.
    else this.#leave(connection, reason, backend, reason === 'drain' ? undefined : kept);
  }

  /** Takes a connection out of the hands of who serves it, for a successor that serves so much. */
  #takeOut(
    connection: LiveConnection,
    { http, adopt, tcp }: Ready,
  ): TakenOut | undefined | Promise<TakenOut | undefined> {
    if (this.#isLeaving(connection)) return undefined;
    if (this.#isApplications(connection)) {
      if (!(this.#raw.has(connection) ? tcp : adopt)) return undefined;
      return this.#applicationMoves.takeOut(connection, this.#tcp.of(connection));
    }
    const movable = http ? this.#movableOf(connection) : undefined;
    const held = movable?.takeOut();
    if (movable === undefined || held === undefined) return undefined;
    const { served } = this.#gates.get(connection.socket) ?? {};
    const judged = movable.flags === PER_REQUEST;
    return { raw: false, judged, served, held, putBack: () => movable.putBack() };
  }

  /** Node name of the front that handed over the connection of a flow, to this process or the one before it. */
  #holderOf(flow: string): string | undefined {
    return this.live.holderOf(flow) ?? this.#estate.holderOf(flow);
  }

  /** Connections that carry one request end by themselves. */
  #movableOf(connection: LiveConnection): Movable | undefined {
    const { socket } = connection;
    if (this.#oneRequests.has(socket)) return undefined;
    const gate = this.#gates.get(socket);
    if (gate === undefined) return new PlainMovable(connection);
    return { flags: PER_REQUEST, takeOut: () => gate.takeOut(), putBack: () => gate.putBack() };
  }

  /**
   * Takes over what may change in a running agent: the certificates and `allow` of `control.tls`, the admin API's token, and
   * what `access_log` says, whose file is opened anew. Channels of fronts that may no longer connect are closed; the others,
   * and all live connections, do not notice. Returns how many channels it closed. Throws an Error with the reason, and
   * everything stays as it was.
   */
  reload(config: AgentConfig): number {
    const { control, admin, access_log } = this.config;
    for (const key of UNCHANGEABLE) mustNotChange(key, this.config[key], config[key]);
    mustNotChange('control.listen', control.listen, config.control.listen);
    mustNotChange('control.insecure', control.insecure, config.control.insecure);
    mustNotChange('admin.listen', admin?.listen, config.admin?.listen);
    // Fronts learn whether there is one when their channels open.
    mustNotChange('access_log', access_log !== undefined, config.access_log !== undefined);
    const token = config.admin && readToken(config.admin);
    const log = config.access_log && this.accessLog?.prepare(config.access_log);
    const { tls } = config.control;
    let closed = 0;
    try {
      if (tls !== undefined) closed = this.control.renew(tls);
    } catch (error) {
      log?.close();
      throw error;
    }
    log?.use();
    this.#certificateExpiry = tls && expiryOf(tls.pem.cert);
    this.#access?.useToken(token);
    return closed;
  }

  /** Opens the access log's file anew, by its name: somebody may have moved it. Throws an Error, and the old one goes on. */
  reopenAccessLog(): void {
    this.accessLog?.reopen();
  }

  /**
   * Takes no more connections, hands back those that it has, and lets running requests finish until `deadline`
   * (performance.now()). Those that are still running then are broken off. Connections that applications have adopted go on
   * until then, and end with what is written. The server's other connections are left to their owner.
   */
  async stop(deadline = performance.now() + GRACE_MS): Promise<void> {
    await this.#retirement.abort();
    this.#serving = false;
    this.adopter.stopping = true;
    // Their fronts may have others for them; those that stay are closed as they become idle.
    this.#leavingUntil = deadline;
    this.departures.cancel('drain');
    if (!this.#retirement.begun)
      for (const connection of this.live) this.#leave(connection, 'drain', '', () => undefined);
    const busy = (): boolean => this.live.size + this.control.prepared > 0;
    await Promise.all([this.#connections?.drain(deadline, busy), this.#tcp.drain(deadline, busy)]);
    // Their ends are reported by 'close' events, which come in a later turn.
    await new Promise((resolve) => setTimeout(resolve, ENDED_MS));
    this.#connections?.detach();
    this.services.server?.off('connection', this.#attached);
    this.services.server?.off('request', this.#countRequest);
    this.services.server?.off('checkContinue', this.#countRequest);
    this.#ignoreUpgrades?.();
    clearInterval(this.#drainTimer);
    this.departures.stop();
    this.#handBacks.stop();
    this.#retract();
    this.#undelivered.stop();
    this.#sockDiag?.close();
    this.control.close();
    this.adopter.close();
    await this.#detours.close();
    await this.#admin?.close();
    await this.#retirement.end(this.#counted());
    await this.accessLog?.close();
  }

  /**
   * Has a successor take over: a process of the same program, with all connections of this one. Resolves with its pid when it
   * serves; `retire` and `stop` are the next things to do then. Undefined when there is none: the log says why, and this agent
   * goes on as before.
   */
  async succeed(): Promise<number | undefined> {
    const pid = await this.#retirement.attempt();
    if (pid === undefined) return undefined;
    this.#serving = false;
    clearInterval(this.#drainTimer);
    const { admin } = this.config;
    if (admin !== undefined) this.#admin?.leave(this.#retirement.takes(addressOf(admin.listen)));
    await this.#retirement.passAdmin(this.#counted());
    return pid;
  }

  /** Whether a successor serves. */
  get succeeded(): boolean {
    return this.#retirement.begun;
  }

  /** Whether that successor is gone. */
  get orphaned(): boolean {
    return this.#retirement.orphaned;
  }

  /** Passes connections to the successor as they come to rest, for as long as `goesOn` says, or until none is left. */
  async retire(goesOn: () => boolean): Promise<void> {
    const busy = (): boolean => this.live.size > 0 || this.origin.predecessor?.there === true;
    while (busy() && goesOn() && !this.orphaned)
      await new Promise((resolve) => setTimeout(resolve, RETIRE_POLL_MS));
  }

  async #start(): Promise<void> {
    const { predecessor, ordinary } = this.origin;
    const { listen } = this.config.control;
    const [inherited] = predecessor?.sockets.take(addressOf(listen)) ?? [];
    const admin = this.config.admin && this.#createAdmin(this.config.admin);
    if (predecessor !== undefined) await this.#follow(predecessor);
    if (ordinary?.inherited === true) await ordinary.open();
    if (admin?.isInherited === false) await admin.open();
    // Last: from here on there are connections that a failure would cost.
    await this.control.listen(listen, inherited?.fd);
    this.#serving = true;
    await predecessor?.serving();
    if (predecessor !== undefined && admin?.isInherited === true)
      void admin.openAfter(predecessor.adminFree());
  }

  /** Gets ready for what the agent before this one has, and waits until its place is this one's. */
  async #follow(predecessor: Predecessor): Promise<void> {
    const { sockets, bequest } = predecessor;
    const { server, adopt, tcp } = this.services;
    const { rules } = this.control;
    sockets.closeRest();
    for (const { front, table } of bequest.tables) rules.inherit(front, table);
    const inheritance = new Inheritance({
      estate: this.#estate,
      live: this.live,
      undelivered: this.#undelivered,
      control: this.control,
      admit: (connection, arrival) => this.#admit(connection, arrival),
      logger: this.logger,
    });
    const serves = { http: server !== undefined, adopt: adopt !== undefined, tcp: tcp !== undefined };
    await predecessor.ready({ ...serves, addresses: sockets.taken }, inheritance);
    const { tables, draining } = await predecessor.yours;
    for (const { front, table } of tables) rules.inherit(front, table);
    if (draining) this.drain(true);
    this.logger.info(
      { sockets: sockets.taken, connections: this.#estate.size, from: predecessor.pid },
      'taking over from the agent before',
    );
  }

  #createAdmin(config: AdminConfig): AdminApi {
    const registry = createRegistry('agent', () => Promise.resolve(this.#collect()));
    const access = (this.#access = new AdminAccess(config, this.logger));
    const app = createAdmin({ registry, ready: () => this.#serving, access, logger: this.logger });
    addAgentRoutes(app, this);
    const [inherited] = this.origin.predecessor?.sockets.take(addressOf(config.listen)) ?? [];
    return (this.#admin = new AdminApi(app, config.listen, inherited, this.logger));
  }

  /** Every adopted connection passes here on its way to whoever serves it, and nowhere else. */
  #admit(connection: LiveConnection, arrival: Arrival): void {
    const { socket } = connection;
    this.#adopted.set(socket, connection);
    const { held = NOTHING } = arrival;
    if (arrival.raw) this.#raw.add(connection);
    const adopt = adoptFor(this.services, arrival);
    if (adopt !== undefined) {
      if (held.length > 0) socket.unshift(held);
      this.#tcp.give(connection, adopt, arrival.state);
    } else this.#serve(connection, arrival);
    if (this.control.draining || !this.#serving) this.#leave(connection, 'drain', '');
  }

  #serve(connection: LiveConnection, { entry, held = NOTHING }: Arrival): void {
    const { socket, flow } = connection;
    const { server } = this.services;
    if (server === undefined) throw new Error('admit: nobody serves, and the offer was not rejected');
    this.accessLog?.opened(connection);
    if (entry instanceof Inlet) {
      const handBack: HandBack = (held, pool, outcomes) => this.#handBack(connection, held, pool, outcomes);
      const parts = { server, detours: this.#detours, flow, handBack };
      this.#gates.set(socket, (entry.gate = new RequestGate(socket, entry, parts)));
    } else if (entry !== undefined) {
      this.#oneRequests.set(socket, new OneRequest(socket, entry, server));
    }
    server.emit('connection', socket);
    if (held.length === 0) this.#closeIfSilent(socket, server.keepAliveTimeout);
    else if (entry instanceof Inlet) entry.gate?.read(held.length, held);
  }

  /**
   * A connection that has moved between two requests is one that was kept alive, and not a new one, of which a server would
   * wait for the first request for a minute and then answer that it has not come.
   */
  #closeIfSilent(socket: Socket, keepAliveMs: number): void {
    const fd = descriptorOf(socket);
    if (keepAliveMs <= 0 || fd === undefined || unreadBytes(fd) !== 0) return;
    const timer = setTimeout(() => {
      const connection = this.#adopted.get(socket);
      const leaving = connection !== undefined && this.#isLeaving(connection);
      if (socket.bytesRead === 0 && !leaving) socket.destroy();
    }, keepAliveMs).unref();
    socket.once('close', () => clearTimeout(timer));
  }

  /** A request on a connection belongs elsewhere; returns whether the connection is on its way there. */
  #handBack(connection: LiveConnection, held: Buffer, pool: string, outcomes: HandBackOutcomes): boolean {
    const wish = { reason: 'route', pool, backend: '' } as const;
    const refused = this.#handBacks.begin(
      { connection, wish, flags: PER_REQUEST, held },
      { moved: () => outcomes.moved(), stayed: (reason) => outcomes.kept(reason === 'same_backend') },
    );
    return refused === undefined;
  }

  /** Behind the server's own listener. */
  readonly #attached = (socket: Socket): void => {
    this.#oneRequests.get(socket)?.attached();
    this.#gates.get(socket)?.attached();
  };

  readonly #countRequest = (request: IncomingMessage, response: ServerResponse): void => {
    // An application may pass a checkContinue on as a request.
    if (!this.#adopted.has(request.socket) || this.#begun.has(response)) return;
    this.#begun.add(response);
    const gate = this.#gates.get(request.socket);
    gate?.followed(response);
    this.accessLog?.requested(request, response);
    this.#stickyCookie?.add(request, response);
    let began = performance.now();
    let ended: number | undefined;
    // How long a client takes to send its request is not the application's fault, nor how long it takes to read a response, or
    // when it leaves.
    if (hasBody(request)) request.once('end', () => (began = performance.now()));
    response.once('prefinish', () => (ended = performance.now()));
    response.once('close', () => {
      this.#responses.ended(response.statusCode, ended === undefined ? 0 : Math.max(0, ended - began));
      // An application may have promised to keep the connection alive, whatever it was asked for.
      if (gate === undefined) this.#oneRequests.get(request.socket)?.close();
      else gate.answered(response);
      if (this.departures.size > 0 || this.#retirement.begun) {
        const connection = this.#adopted.get(request.socket);
        if (connection === undefined) return;
        this.departures.responded(connection);
        this.#retirement.responded(connection);
      }
    });
  };

  #collect(): StatsSnapshot {
    const gauges = [
      ...(this.#certificateExpiry === undefined
        ? []
        : [
            {
              name: 'agent_certificate_expiry_timestamp_seconds',
              labels: { node: this.config.node },
              value: this.#certificateExpiry,
            },
          ]),
      { name: 'agent_connections', labels: {}, value: this.live.size },
    ];
    return mergeStats([this.#counted(), { samples: gauges, histograms: [] }]);
  }

  /** What has been counted by this process and those before it. */
  #counted(): StatsSnapshot {
    const own = {
      samples: [
        ...ADOPTION_RESULTS.map((result) => ({
          name: 'agent_adoptions_total',
          labels: { result },
          value: this.adopter.results[result],
        })),
        ...[...this.#responses.byCode].map(([code, value]) => ({
          name: 'agent_requests_total',
          labels: { code: String(code) },
          value,
        })),
        ...DIVERSIONS.map((action) => ({
          name: 'agent_diverted_requests_total',
          labels: { action },
          value: this.#detours.counts[action],
        })),
        { name: 'log_lines_dropped_total', labels: {}, value: droppedLines() },
        { name: 'agent_access_lines_dropped_total', labels: {}, value: this.accessLog?.dropped ?? 0 },
        { name: 'agent_response_bytes_total', labels: {}, value: this.live.bytesWritten },
      ],
      histograms: [this.#restoreDuration.sample('agent_restore_duration_seconds', {})],
    };
    const { predecessor } = this.origin;
    return predecessor === undefined ? own : mergeStats([own, predecessor.counted]);
  }
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** At start, so that it is there when descriptors run out. */
function openSockDiag(logger: Logger): SockDiag | undefined {
  try {
    return new SockDiag();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    const loss =
      'clients that are silent for longer than the linger of their front may lose the end of an answer';
    logger.error({ cause: error.message }, loss);
    return undefined;
  }
}
