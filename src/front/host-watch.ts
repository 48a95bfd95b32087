/**
 * Finds out whether a backend's host is gone when its control channel is down: an agent may hang, its port may be
 * filtered, and the connections that live there go on all the same. Only where nothing of the host answers for a while,
 * neither the control port nor the `http` addresses nor (where the next hop is the host itself) ARP or neighbour
 * discovery, nobody can serve its connections any more.
 */
import { answers } from '../health/answers';
import { neighbourAnswers } from '../steer/neighbour';

/** Between two looks, or a quarter of the time that the host is given if that is shorter. */
const LOOK_MS = 1000;

export interface HostWatchOptions {
  /** Time without a sign of life after which the host is gone, ms. */
  readonly goneMs: number;
  /** The host's other addresses; may grow while the watch exists. */
  readonly endpoints: readonly { readonly host: string; readonly port: number }[];
  /** The host's own address, where it is an on-link neighbour. */
  readonly neighbours: readonly string[];
}

export class HostWatch {
  #aliveAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  #gone = false;

  constructor(
    private readonly options: HostWatchOptions,
    private readonly onGone: () => void,
  ) {}

  /** There is no channel to the host. */
  begin(): void {
    this.#aliveAt = performance.now();
    const every = Math.min(LOOK_MS, this.options.goneMs / 4);
    this.#timer ??= setInterval(() => void this.#look(), every).unref();
  }

  /** The channel is up, or the host is of no interest any more. */
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#gone = false;
  }

  /** The host has answered somebody. */
  alive(): void {
    this.#aliveAt = performance.now();
    this.#gone = false;
  }

  async #look(): Promise<void> {
    if (this.#looking || this.#gone) return;
    this.#looking = true;
    if (await this.#answers()) this.alive();
    this.#looking = false;
    if (this.#timer === undefined || performance.now() - this.#aliveAt < this.options.goneMs) return;
    this.#gone = true;
    this.onGone();
  }

  async #answers(): Promise<boolean> {
    const { endpoints, neighbours, goneMs } = this.options;
    const found = await Promise.all(endpoints.map((endpoint) => answers(endpoint, LOOK_MS)));
    if (found.includes(true)) return true;
    // The last question, because it costs most.
    if (performance.now() - this.#aliveAt < goneMs) return false;
    return (await Promise.all(neighbours.map(neighbourAnswers))).includes(true);
  }
}
