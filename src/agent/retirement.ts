import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { AgentConfig } from '../config/model';
import { addressOf } from '../kernel/bound-socket';
import { duplicate } from '../kernel/descriptor';
import { formatFlow } from '../kernel/flow';
import { close } from '../kernel/libc';
import type { StatsSnapshot } from '../observe/stats';
import type { FlowRecord } from '../steer/flow-table';
import type { ListeningSocket } from '../succession/inherited-sockets';
import { Succession, type Legacy } from '../succession/succession';
import type { Successor } from '../succession/successor';
import type { Adopter } from './adopter';
import type { ControlServer, Heir } from './control-server';
import type { Departures } from './departures';
import type { Estate, HeldRecord } from './estate';
import type { HandBacks } from './hand-backs';
import type { LiveConnection, LiveConnections } from './live-connections';
import { Passing, type TakenOut } from './passing';
import {
  MOST_RECORDS,
  sentRecord,
  VERSION,
  type Bequest,
  type Ready,
  type SentConnection,
  type ToSuccessor,
} from './succession-messages';

/** Moves and offers under way take milliseconds, or seconds where a front or an agent does not answer. */
const QUIET_MS = 10_000;
/** A successor that is ready has only to listen. */
const SERVING_MS = 10_000;
const POLL_MS = 2;

export type PassedSocket = ListeningSocket & { readonly address: string };

export interface RetirementParts {
  readonly config: AgentConfig;
  readonly live: LiveConnections;
  readonly adopter: Adopter;
  readonly control: ControlServer;
  readonly handBacks: HandBacks;
  readonly departures: Departures;
  readonly undelivered: Iterable<HeldRecord>;
  readonly estate: Estate;
  /** Listening sockets beside the control port's. */
  readonly sockets: () => readonly PassedSocket[];
  /** Takes a connection out for a successor that serves so much. */
  readonly takeOut: (
    connection: LiveConnection,
    ready: Ready,
  ) => TakenOut | undefined | Promise<TakenOut | undefined>;
}

/** How an agent leaves all that it has to a successor: see succession-messages.ts. */
export class Retirement {
  readonly #succession: Succession<Bequest, Ready>;
  #attempt: Promise<number | undefined> | undefined;
  #passing: Passing | undefined;
  #orphaned = false;

  constructor(
    private readonly parts: RetirementParts,
    private readonly logger: Logger,
  ) {
    this.#succession = new Succession('agent', logger);
  }

  /** Resolves with the successor's pid when it serves; undefined where there is none, and the log says why. */
  attempt(): Promise<number | undefined> {
    const attempt = this.#succession.attempt(
      () => Promise.resolve(this.#legacy()),
      (successor, aborted) => this.#handOver(successor, aborted),
    );
    this.#attempt ??= attempt;
    void attempt.finally(() => {
      if (this.#attempt === attempt) this.#attempt = undefined;
    });
    return attempt;
  }

  /** Whether a successor serves. */
  get begun(): boolean {
    return this.#passing !== undefined;
  }

  /** Whether the successor that served is gone: nobody listens here any more. */
  get orphaned(): boolean {
    return this.#orphaned;
  }

  /** The agent stops by itself: a successor that is starting ends, one that serves stays. */
  async abort(): Promise<void> {
    this.#succession.abort();
    await this.#attempt;
  }

  /** A response on a connection has come to its end. */
  responded(connection: LiveConnection): void {
    this.#passing?.responded(connection);
  }

  /** Whether the successor has taken over a listening socket. */
  takes(address: string): boolean {
    return this.#succession.successor?.answer.addresses.includes(address) === true;
  }

  /** The admin API's socket is the successor's alone, and this is what has been counted so far. */
  async passAdmin(counted: StatsSnapshot): Promise<void> {
    await this.#tell({ type: 'admin', counted });
  }

  /** The last word. */
  async end(counted: StatsSnapshot): Promise<void> {
    if (this.#passing === undefined) return;
    this.#passing.stop();
    this.logger.info({ passed: this.#passing.passed }, 'connections passed to the successor');
    await this.#tell({ type: 'counted', counted });
  }

  #legacy(): Legacy<Bequest> {
    const { config, control } = this.parts;
    const { descriptor } = control;
    if (descriptor === undefined) throw new Error('this agent does not listen');
    const own = { fd: descriptor, held: false, address: addressOf(config.control.listen) };
    return {
      sockets: [own, ...this.parts.sockets()],
      bequest: { version: VERSION, node: config.node, tables: control.rules.newest },
    };
  }

  async #handOver(successor: Successor<Ready>, aborted: AbortSignal): Promise<void> {
    const { adopter, control, handBacks, departures, config } = this.parts;
    // By which it listens again, should the successor not.
    const kept = duplicate(control.descriptor ?? -1);
    try {
      await this.#quiet(successor, aborted);
      const tables = control.rules.newest;
      const heir = new HeldBack(this.#heirOf(successor));
      control.leave(heir);
      await this.#sendRecords(successor, aborted);
      heir.release();
      const serving = successor.next(SERVING_MS, aborted);
      void tell(successor, {
        type: 'yours',
        tables,
        draining: control.draining,
      });
      await serving;
    } catch (error) {
      control.takeBack();
      handBacks.paused = adopter.stopping = false;
      if (control.descriptor === undefined) await control.listen(config.control.listen, kept);
      else close(kept);
      throw error;
    }
    close(kept);
    departures.stop();
    const { live, takeOut } = this.parts;
    this.#passing = new Passing({
      live,
      takeOut: (connection) => takeOut(connection, successor.answer),
      send: (connection, taken, socket) => successor.pass(messageOf(connection, taken), socket),
      forget: (connection) => live.forget(connection),
      failed: ({ flow }, cause) =>
        this.logger.error(
          { flow: formatFlow(flow), cause: String(cause) },
          'a connection cannot be passed on',
        ),
    });
    successor.onEnd(() => {
      this.#passing?.stop();
      this.#orphaned = true;
      this.logger.error(
        'nobody listens for fronts: this agent ends its connections and then itself; start it again if nothing else does',
      );
    });
  }

  /** Begins no more moves and takes no more offers, and waits for those under way. */
  async #quiet(successor: Successor<Ready>, aborted: AbortSignal): Promise<void> {
    const { adopter, control, handBacks } = this.parts;
    const quiet = async (what: string, busy: () => boolean): Promise<void> => {
      const deadline = performance.now() + QUIET_MS;
      while (busy()) {
        expectTime(
          deadline,
          successor,
          aborted,
          `${what} have not come to an end within ${QUIET_MS / 1000} s`,
        );
        await sleep(POLL_MS);
      }
    };
    handBacks.paused = true;
    await quiet('moves to other backends', () => handBacks.size > 0);
    // As late as can be: fronts go elsewhere from here on.
    adopter.stopping = true;
    await quiet('offers', () => control.prepared > 0);
  }

  async #sendRecords(successor: Successor<Ready>, aborted: AbortSignal): Promise<void> {
    const deadline = performance.now() + SERVING_MS;
    const { live, estate, undelivered } = this.parts;
    const records = [...live, ...estate, ...undelivered].map((record) => ({
      ...sentRecord(record),
      front: record.front,
    }));
    for (let at = 0; at < records.length; at += MOST_RECORDS) {
      expectTime(
        deadline,
        successor,
        aborted,
        `has not taken the list of connections within ${SERVING_MS / 1000} s`,
      );
      await tell(successor, { type: 'records', records: records.slice(at, at + MOST_RECORDS) });
    }
  }

  #heirOf(successor: Successor<Ready>): Heir {
    return {
      closed: (records) => void tell(successor, { type: 'closed', records: records.map(sentRecord) }),
      voided: (records) => void tell(successor, { type: 'void', records: records.map(sentRecord) }),
    };
  }

  async #tell(message: ToSuccessor): Promise<void> {
    const { successor } = this.#succession;
    if (successor !== undefined) await tell(successor, message);
  }
}

/** What ends is told behind the list that it is in, or it would be there for ever. */
class HeldBack implements Heir {
  #held: (() => void)[] | undefined = [];

  constructor(private readonly heir: Heir) {}

  closed(records: readonly FlowRecord[]): void {
    this.#later(() => this.heir.closed(records));
  }

  voided(records: readonly FlowRecord[]): void {
    this.#later(() => this.heir.voided(records));
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const say of held) say();
  }

  #later(say: () => void): void {
    if (this.#held === undefined) say();
    else this.#held.push(say);
  }
}

/** Throws where there is no use in waiting on; `late` is why from the deadline on. */
function expectTime(deadline: number, successor: Successor<Ready>, aborted: AbortSignal, late: string): void {
  if (successor.ended) throw new Error('has ended');
  aborted.throwIfAborted();
  if (performance.now() > deadline) throw new Error(late);
}

function tell(successor: Successor<Ready>, message: ToSuccessor): Promise<void> {
  return successor.tell(message);
}

function messageOf(connection: LiveConnection, taken: TakenOut): SentConnection {
  const { front, details, since, socket, asked } = connection;
  const { raw, judged, served, held, state } = taken;
  return {
    type: 'connection',
    ...sentRecord(connection),
    front,
    details,
    ageMs: performance.now() - since,
    asked: asked === true || socket.bytesRead > 0,
    raw,
    judged,
    served,
    held: held.toString('base64'),
    state: state?.toString('base64'),
  };
}
