/** An agent as the front's main thread sees it: the keeper's control channel, and what is done when it is down. */
import type { Logger } from 'pino';
import { formatEndpoint } from '../config/addresses';
import type { BackendConfig, Endpoint } from '../config/model';
import { monotonicNs, type HandoffId } from '../steer/flow-table';
import { PING_INTERVAL_MS, SILENCE_LIMIT_MS } from '../wire/channel';
import type { AgentAddress } from '../wire/dial';
import type { KeepReason } from '../wire/hand-back';
import { Link } from '../wire/link';
import { countedBetween, type Report, type ResponseCounts } from '../wire/report';
import type { FlowKeeper } from './flow-keeper';
import { HostWatch } from './host-watch';

/** Channels of several accepting threads break together: one list answers for all. */
const LIST_DELAY_MS = 50;
/** A COMMIT that was lost with its channel is not older than this when the loss is noticed: silence, and a margin. */
const LOST_COMMIT_NS = (2 * SILENCE_LIMIT_MS * 1e9) / 1000;
/** How often the agent says how busy it is, at most. */
const REPORT_MS = 1000;
/**
 * When clients of such COMMITs are made to speak, after the loss: soon, and once more when the agent must have noticed it
 * too. Until then what it has prepared drops the client's answer.
 */
const DOUBT_AFTER_MS = [500, SILENCE_LIMIT_MS + 2 * PING_INTERVAL_MS];

export interface WatchedAgentEvents {
  /** The host is gone, and with it so many connections. */
  lost(backend: string, flows: number): void;
  /** The channel has come up or gone down, or the agent drains or does no more. */
  changed(cause: string): void;
  /** It does not hand back a connection that it was asked for. */
  kept(id: HandoffId, reason: KeepReason): void;
  /** Responses that ended since the agent last said; not those from before its first word on this channel. */
  responded(counts: ResponseCounts): void;
}

export class WatchedAgent {
  readonly link: Link;
  /** Numbers of its backends in the flow table. */
  readonly #numbers = new Set<number>();
  readonly #endpoints: Endpoint[] = [];
  readonly #neighbours: string[] = [];
  readonly #watch: HostWatch;
  #listTimer: NodeJS.Timeout | undefined;
  #doubtTimers: NodeJS.Timeout[] = [];
  #stopped = false;
  #report: Report | undefined;
  /** As it last said: a channel that is gone does not mean that it wants connections again. */
  #draining = false;

  constructor(
    readonly backend: string,
    readonly endpoint: AgentAddress,
    node: string,
    goneMs: number,
    private readonly keeper: FlowKeeper,
    private readonly logger: Logger,
    private readonly events: WatchedAgentEvents,
  ) {
    const options = { goneMs, endpoints: this.#endpoints, neighbours: this.#neighbours };
    this.#watch = new HostWatch(options, () => this.#hostGone());
    this.link = this.#makeLink(node);
  }

  /** Adopted connections of the agent, those of other fronts included; undefined while nobody knows. */
  get connections(): number | undefined {
    return this.#report?.connections;
  }

  /** Whether the agent wants no more connections. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Takes in a backend of a pool that this agent serves. */
  serves(config: BackendConfig, number: number): void {
    this.#numbers.add(number);
    if (config.http !== undefined) this.#endpoints.push(config.http);
    for (const { host } of config.via) if (host === this.endpoint.host) this.#neighbours.push(host);
  }

  start(): void {
    this.#watch.begin();
    this.link.start();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#listTimer);
    this.#doubtTimers.forEach(clearTimeout);
    this.#watch.end();
    this.link.stop();
  }

  /** An accepting thread has lost its channel to this agent: what it committed last may not have arrived. */
  reconcile(): void {
    this.#listTimer ??= setTimeout(() => {
      this.#listTimer = undefined;
      this.link.list();
    }, LIST_DELAY_MS);
  }

  #makeLink(node: string): Link {
    const agent = formatEndpoint(this.endpoint);
    return new Link(
      this.endpoint,
      { role: 'keeper', node, reportMs: REPORT_MS },
      {
        onReport: (report) => this.#reported(report),
        onUp: (hello) => {
          this.#watch.end();
          this.logger.info({ agent, agent_node: hello.node, vips: hello.vips }, 'control channel is up');
          this.events.changed('control channel is up');
        },
        onDown: (cause) => {
          this.keeper.forgetList(agent);
          this.#report = undefined;
          if (this.#stopped) return;
          this.#watch.begin();
          this.#doubtLatest();
          this.logger.warn({ agent, cause }, 'control channel is down');
          this.events.changed(`control channel: ${cause}`);
        },
        onFailed: (cause) => this.logger.warn({ agent, cause }, 'control channel cannot be opened'),
        onAnswered: (refused) => {
          this.#watch.alive();
          // Its process is dead, and its kernel is there to say so to clients whose connections were only prepared.
          if (refused) this.keeper.doubt(this.#numbers, monotonicNs() - LOST_COMMIT_NS);
        },
        onFlows: (flows, last, askedAt) => this.keeper.listed(agent, flows, last, askedAt, this.#numbers),
        onClosed: (flows) => this.keeper.closed(flows, this.#numbers),
        onKept: (id, reason) => this.events.kept(id, reason),
        onVoid: (flows) => this.keeper.voided(flows, this.#numbers),
      },
    );
  }

  #reported(report: Report): void {
    const before = this.#report;
    this.#report = report;
    if (before !== undefined) this.events.responded(countedBetween(before, report));
    if (report.draining === this.#draining) return;
    this.#draining = report.draining;
    this.events.changed(`its agent ${report.draining ? 'drains: POST /v1/drain there' : 'is ready again'}`);
  }

  /** No list of live flows can be had, maybe for long: what was committed last is asked about without one. */
  #doubtLatest(): void {
    const since = monotonicNs() - LOST_COMMIT_NS;
    this.#doubtTimers.forEach(clearTimeout);
    this.#doubtTimers = DOUBT_AFTER_MS.map((ms) =>
      setTimeout(() => this.keeper.doubt(this.#numbers, since), ms).unref(),
    );
  }

  #hostGone(): void {
    const flows = this.keeper.hostGone(this.#numbers);
    const fields = { agent: formatEndpoint(this.endpoint), backend: this.backend, flows };
    this.logger.error(fields, 'backend host is gone: nothing of it answers, its clients are reset');
    this.events.lost(this.backend, flows);
  }
}
