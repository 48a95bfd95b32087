import type { Socket } from 'node:net';
import { KernelError } from '../kernel/errors';
import { sentDescriptor } from '../kernel/node-socket';
import type { StatsSnapshot } from '../observe/stats';
import type { FlowRecord } from '../steer/flow-table';
import { InheritedSockets } from '../succession/inherited-sockets';
import type { FailedStart } from '../succession/messages';
import { expectVersion, hearPredecessor, meetPredecessor, tellPredecessor } from '../succession/predecessor';
import type { HeldRecord } from './estate';
import {
  recordOf,
  VERSION,
  type Bequest,
  type Ready,
  type SentConnection,
  type ToSuccessor,
} from './succession-messages';

/** How long the admin API may wait for the agent to let go of it. */
const ADMIN_LIMIT_MS = 5000;

/** What an agent says when this process has its place. */
export type Yours = Extract<ToSuccessor, { type: 'yours' }>;

export interface PredecessorEvents {
  /** These live with it. */
  holds(records: readonly HeldRecord[]): void;
  /** A connection comes from it; the descriptor is this process's. */
  passed(sent: SentConnection, fd: number): void;
  /** One was to come, and there was no descriptor for it: it is broken off. */
  lost(record: FlowRecord, cause: string): void;
  closed(records: readonly FlowRecord[]): void;
  voided(records: readonly FlowRecord[]): void;
  /** It has ended, and what it still had has ended with it. */
  gone(): void;
}

/** The agent that this process takes over from, and whose child it is. */
export class Predecessor {
  readonly sockets: InheritedSockets;
  readonly pid = process.ppid;
  #counted: StatsSnapshot = { samples: [], histograms: [] };
  #events: PredecessorEvents | undefined;
  /** When its place is this process's. */
  readonly yours: Promise<Yours>;
  readonly #adminFree: Promise<void>;
  #isYours: (yours: Yours) => void = ignore;
  #isAdminFree: () => void = ignore;

  private constructor(readonly bequest: Bequest) {
    expectVersion('agent', bequest, VERSION);
    this.sockets = new InheritedSockets(bequest.sockets, 'sockets of the agent before');
    this.#adminFree = new Promise((resolve) => (this.#isAdminFree = resolve));
    this.yours = new Promise((resolve, reject) => {
      this.#isYours = resolve;
      process.once('disconnect', () => reject(new Error('the agent before is gone')));
    });
    // Who does not get so far as to wait for it has another reason.
    this.yours.catch(ignore);
    hearPredecessor(
      (message, socket) => this.#heard(message as ToSuccessor, socket),
      () => {
        this.#isAdminFree();
        this.#events?.gone();
      },
    );
  }

  /** Undefined where this process was not started by an agent. The variable that says so is removed from `environment`. */
  static meet(environment: NodeJS.ProcessEnv): Promise<Predecessor | undefined> {
    return meetPredecessor(environment, (bequest) => new Predecessor(bequest as Bequest));
  }

  /** @throws Error where it is another node's: fronts know its connections as that one's. */
  expectSameNode(node: string): void {
    const before = this.bequest.node;
    if (node !== before)
      throw new Error(`node has changed from ${before} to ${node}: stop the agent, and start it again`);
  }

  /** Whether it is still there. */
  get there(): boolean {
    return process.connected;
  }

  /** What it has counted in its life, as far as it has said so. */
  get counted(): StatsSnapshot {
    return this.#counted;
  }

  /** This process can take over: `events` are what follows. */
  ready(services: Omit<Ready, 'type'>, events: PredecessorEvents): Promise<void> {
    this.#events = events;
    return tellPredecessor({ type: 'ready', ...services } satisfies Ready);
  }

  /** The commit point: fronts are served here. */
  serving(): Promise<void> {
    return tellPredecessor({ type: 'serving' });
  }

  /** Says why this process does not take over. */
  failed(cause: string): Promise<void> {
    return tellPredecessor({ type: 'failed', cause } satisfies FailedStart);
  }

  /** Resolves when it accepts nobody at the admin API any more. */
  async adminFree(): Promise<void> {
    const late = new Promise((resolve) => setTimeout(resolve, ADMIN_LIMIT_MS).unref());
    await Promise.race([this.#adminFree, late]);
  }

  #heard(message: ToSuccessor, socket: Socket | undefined): void {
    const events = this.#events;
    switch (message.type) {
      case 'records':
        events?.holds(message.records.map(({ front, ...record }) => ({ ...recordOf(record), front })));
        return;
      case 'yours':
        this.#isYours(message);
        return;
      case 'admin':
      case 'counted':
        this.#counted = message.counted;
        this.#isAdminFree();
        return;
      case 'closed':
        events?.closed(message.records.map(recordOf));
        return;
      case 'void':
        events?.voided(message.records.map(recordOf));
        return;
      case 'connection':
        if (socket !== undefined) this.#passed(message, socket);
    }
  }

  #passed(sent: SentConnection, socket: Socket): void {
    try {
      this.#events?.passed(sent, sentDescriptor(socket));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#events?.lost(recordOf(sent), error.message);
    }
  }
}

function ignore(): void {
  // Nobody waits.
}
