import { release, reset } from '../repair/dump';
import type { Offers } from './offers';

/**
 * How long a handed-off socket stays, frozen: a packet that was past the steering program when the flow was entered
 * may still be on its way up, and without a socket the kernel would answer it with RST.
 */
const KEEP_MS = 100;
const SWEEP_MS = 50;

interface Released {
  readonly fd: number;
  /** Where the connection went. */
  readonly to: Offers;
}

/** Sockets of handed-off connections on their way out. Closing them in repair sends nothing. */
export class ReleaseQueue {
  /** Sockets of this sweep and of the ones before, oldest first. */
  readonly #generations: Released[][] = Array.from({ length: KEEP_MS / SWEEP_MS + 1 }, () => []);
  readonly #timer = setInterval(() => this.#sweep(), SWEEP_MS).unref();

  add(fd: number, to: Offers): void {
    this.#generations.at(-1)?.push({ fd, to });
  }

  get size(): number {
    return this.#generations.reduce((sum, generation) => sum + generation.length, 0);
  }

  /**
   * The channel broke right after these connections were committed on it: the agent has died, or never read the COMMIT.
   * Either way nobody serves them, so their clients get a RST instead of silence.
   */
  resetAll(to: Offers): void {
    for (const generation of this.#generations) {
      const lost = generation.filter((released) => released.to === to);
      const others = generation.filter((released) => released.to !== to);
      generation.splice(0, generation.length, ...others);
      for (const { fd } of lost) reset(fd);
    }
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const generation of this.#generations) closeAll(generation.splice(0));
  }

  #sweep(): void {
    closeAll(this.#generations.shift() ?? []);
    this.#generations.push([]);
  }
}

function closeAll(generation: readonly Released[]): void {
  for (const { fd } of generation) release(fd);
}
