import type { Logger } from 'pino';
import type { StatsSnapshot } from '../observe/stats';
import type { ListeningSocket } from './inherited-sockets';
import { VERSION, type Bequest } from './succession-messages';
import { Successor } from './successor';

/** What a front leaves to its successor. */
export interface Legacy extends Pick<Bequest, 'steering' | 'numbers' | 'backends' | 'discovered'> {
  readonly sockets: readonly (ListeningSocket & { readonly address: string })[];
}

/** How a front is succeeded: at most once, after any number of attempts. */
export class Succession {
  #attempt: AbortController | undefined;
  #successor: Successor | undefined;

  constructor(private readonly logger: Logger) {}

  /** Whether a successor serves. */
  get done(): boolean {
    return this.#successor !== undefined;
  }

  /** Whether the successor accepts from the front's sockets of this address. */
  serves(address: string): boolean {
    return this.#successor?.addresses.has(address) === true;
  }

  /**
   * Starts a successor with what `legacy` resolves to. Resolves with its pid when it serves, or with undefined when it is
   * gone again; the log says why.
   */
  async attempt(legacy: () => Promise<Legacy>): Promise<number | undefined> {
    if (this.#attempt !== undefined) {
      this.logger.warn('a successor has been started already');
      return undefined;
    }
    const attempt = (this.#attempt = new AbortController());
    try {
      const successor = (this.#successor = await start(await legacy(), attempt.signal));
      this.logger.info({ successor: successor.pid }, 'the successor is serving, this front retires');
      successor.onEnd((cause) =>
        this.logger.error({ successor: successor.pid, cause }, 'the successor is gone'),
      );
      return successor.pid;
    } catch (error) {
      this.#attempt = undefined;
      const cause = error instanceof Error ? error.message : String(error);
      const message = attempt.signal.aborted ? 'no successor' : 'no successor, this front goes on';
      this.logger.error({ cause }, message);
      return undefined;
    }
  }

  /** The front stops by itself: a successor that is starting ends, one that serves stays. */
  abort(): void {
    if (!this.done) this.#attempt?.abort();
  }

  /** The front accepts nobody at the admin API any more, and has counted so much. */
  async passAdmin(counted: StatsSnapshot): Promise<void> {
    await this.#successor?.tell({ type: 'admin', counted });
  }

  /** What the front has counted in its life. */
  async passCounts(counted: StatsSnapshot): Promise<void> {
    await this.#successor?.tell({ type: 'counted', counted });
  }
}

async function start({ sockets, ...rest }: Legacy, aborted: AbortSignal): Promise<Successor> {
  if (process.pid === 1) throw new Error('this front is process 1, with whose end its container ends');
  aborted.throwIfAborted();
  const passed = sockets.map(({ address, held }) => ({ address, held }));
  const bequest: Bequest = { type: 'bequest', version: VERSION, sockets: passed, ...rest };
  const descriptors = sockets.map(({ fd }) => fd);
  return Successor.start(descriptors, bequest, aborted);
}
