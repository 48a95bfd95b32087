import type { Logger } from 'pino';
import type { StatsSnapshot } from '../observe/stats';
import { InheritedSockets } from './inherited-sockets';
import {
  PREDECESSOR,
  VERSION,
  type Bequest,
  type ToPredecessor,
  type ToSuccessor,
} from './succession-messages';

/** The front that starts this process writes its bequest at once. */
const BEQUEST_LIMIT_MS = 10_000;
/** How long the admin API may wait for the front to let go of it. */
const ADMIN_LIMIT_MS = 5000;
/** As long as it takes to write a line to somebody who reads. */
const TELL_LIMIT_MS = 1000;

/** The front that this process takes over from, and whose child it is. */
export class Predecessor {
  readonly sockets: InheritedSockets;
  readonly pid = process.ppid;
  #counted: StatsSnapshot = { samples: [], histograms: [] };
  readonly #adminFree: Promise<void>;

  private constructor(readonly bequest: Bequest) {
    if (bequest.version !== VERSION) {
      throw new Error(`the running front speaks version ${bequest.version} of its bequest, not ${VERSION}`);
    }
    this.sockets = new InheritedSockets(bequest.sockets, 'sockets of the front before');
    this.#adminFree = new Promise((resolve) => {
      process.on('message', (message: ToSuccessor) => {
        if (message.type === 'bequest') return;
        this.#counted = message.counted;
        if (message.type === 'admin') resolve();
      });
      process.once('disconnect', resolve);
    });
  }

  /** Undefined where this process was not started by a front. The variable that says so is removed from `environment`. */
  static async meet(environment: NodeJS.ProcessEnv): Promise<Predecessor | undefined> {
    const { [PREDECESSOR]: pid } = environment;
    Reflect.deleteProperty(environment, PREDECESSOR);
    if (pid !== String(process.ppid) || process.send === undefined) return undefined;
    const left = await bequest();
    try {
      return new Predecessor(left);
    } catch (error) {
      await tell({ type: 'failed', cause: (error as Error).message });
      throw error;
    }
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
    return tell({ type: 'serving', addresses });
  }

  /** Says why this process does not take over. */
  failed(cause: string): Promise<void> {
    return tell({ type: 'failed', cause });
  }

  /** Resolves when it accepts nobody at the admin API any more. */
  async adminFree(): Promise<void> {
    const late = new Promise((resolve) => setTimeout(resolve, ADMIN_LIMIT_MS).unref());
    await Promise.race([this.#adminFree, late]);
  }
}

function bequest(): Promise<Bequest> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(
      () => reject(new Error(`the front before has left no bequest within ${BEQUEST_LIMIT_MS / 1000} s`)),
      BEQUEST_LIMIT_MS,
    );
    process.once('disconnect', () => reject(new Error('the front before is gone')));
    process.once('message', (message: Bequest) => {
      clearTimeout(limit);
      resolve(message);
    });
  });
}

function tell(message: ToPredecessor): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, TELL_LIMIT_MS);
    process.send?.(message, undefined, undefined, () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
