import type { Logger } from 'pino';
import type { ListeningSocket } from './inherited-sockets';
import type { Bequest } from './messages';
import { Successor } from './successor';

/** What a process leaves to its successor. */
export interface Legacy<B extends Bequest> {
  readonly sockets: readonly (ListeningSocket & { readonly address: string })[];
  readonly bequest: Omit<B, 'type' | 'sockets'>;
}

/** How a front or an agent is succeeded: at most once, after any number of attempts. `A` is a successor's answer to its bequest. */
export class Succession<B extends Bequest, A extends object> {
  #attempt: AbortController | undefined;
  #successor: Successor<A> | undefined;

  constructor(
    private readonly name: 'front' | 'agent',
    private readonly logger: Logger,
  ) {}

  /** The one that serves, where there is one. */
  get successor(): Successor<A> | undefined {
    return this.#successor;
  }

  /**
   * Starts a successor with what `legacy` resolves to, and has it take over by `handOver`, where that takes more than its being
   * there; what that throws is one more reason for there being none. Resolves with its pid when it serves, or with undefined when
   * it is gone again; the log says why.
   */
  async attempt(
    legacy: () => Promise<Legacy<B>>,
    handOver?: (successor: Successor<A>, aborted: AbortSignal) => Promise<void>,
  ): Promise<number | undefined> {
    if (this.#attempt !== undefined) {
      this.logger.warn('a successor has been started already');
      return undefined;
    }
    const attempt = (this.#attempt = new AbortController());
    try {
      const successor = await this.#start(await legacy(), attempt.signal);
      try {
        await handOver?.(successor, attempt.signal);
      } catch (error) {
        successor.kill();
        throw error;
      }
      this.#successor = successor;
      this.logger.info({ successor: successor.pid }, `the successor is serving, this ${this.name} retires`);
      successor.onEnd((cause) =>
        this.logger.error({ successor: successor.pid, cause }, 'the successor is gone'),
      );
      return successor.pid;
    } catch (error) {
      this.#attempt = undefined;
      const cause = error instanceof Error ? error.message : String(error);
      const message = attempt.signal.aborted ? 'no successor' : `no successor, this ${this.name} goes on`;
      this.logger.error({ cause }, message);
      return undefined;
    }
  }

  /** The process stops by itself: a successor that is starting ends, one that serves stays. */
  abort(): void {
    if (this.#successor === undefined) this.#attempt?.abort();
  }

  async #start({ sockets, bequest }: Legacy<B>, aborted: AbortSignal): Promise<Successor<A>> {
    if (process.pid === 1)
      throw new Error(`this ${this.name} is process 1, with whose end its container ends`);
    aborted.throwIfAborted();
    const passed = sockets.map(({ address, held }) => ({ address, held }));
    const descriptors = sockets.map(({ fd }) => fd);
    return Successor.start(descriptors, { type: 'bequest', ...bequest, sockets: passed }, aborted);
  }
}
