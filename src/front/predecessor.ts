import type { Logger } from 'pino';
import type { StatsSnapshot } from '../observe/stats';
import { InheritedSockets } from '../succession/inherited-sockets';
import type { FailedStart } from '../succession/messages';
import { expectVersion, hearPredecessor, meetPredecessor, tellPredecessor } from '../succession/predecessor';
import { VERSION, type Bequest, type Serving, type ToSuccessor } from './succession-messages';

/** How long the admin API may wait for the front to let go of it. */
const ADMIN_LIMIT_MS = 5000;

/** The front that this process takes over from, and whose child it is. */
export class Predecessor {
  readonly sockets: InheritedSockets;
  readonly pid = process.ppid;
  #counted: StatsSnapshot = { samples: [], histograms: [] };
  readonly #adminFree: Promise<void>;

  private constructor(readonly bequest: Bequest) {
    expectVersion('front', bequest, VERSION);
    this.sockets = new InheritedSockets(bequest.sockets, 'sockets of the front before');
    this.#adminFree = new Promise((resolve) => {
      hearPredecessor((said) => {
        const { type, counted } = said as ToSuccessor;
        this.#counted = counted;
        if (type === 'admin') resolve();
      }, resolve);
    });
  }

  /** Undefined where this process was not started by a front. The variable that says so is removed from `environment`. */
  static meet(environment: NodeJS.ProcessEnv): Promise<Predecessor | undefined> {
    return meetPredecessor(environment, (bequest) => new Predecessor(bequest as Bequest));
  }

  /**
   * The flow table has to be the same one: with another one attached, clients of live flows would be reset at once.
   * @throws Error that says what to do instead.
   */
  expectSameTable(own: Bequest['steering'], logger: Logger): void {
    const before = this.bequest.steering;
    if (own.pin !== before.pin) {
      throw new Error(
        `steering.pin has changed from ${before.pin} to ${own.pin}, which knows none of the live flows: ` +
          'stop the front when they are over, and start it again',
      );
    }
    if (own.interface !== before.interface) {
      logger.warn(
        { before: before.interface, now: own.interface },
        'steering.interface has changed: the program stays on the old one too, until tc qdisc del dev IF clsact',
      );
    }
  }

  /** Backend numbers that it may still steer connections by. */
  get numbers(): readonly number[] {
    return process.connected ? this.bequest.numbers : [];
  }

  /** What it has counted in its life, as far as it has said so. */
  get counted(): StatsSnapshot {
    return this.#counted;
  }

  /** The commit point: connections are accepted, from inherited sockets of these addresses among others. */
  serving(addresses: readonly string[]): Promise<void> {
    return tellPredecessor({ type: 'serving', addresses } satisfies Serving);
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
}
