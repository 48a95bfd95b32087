import { release, reset } from '../repair/dump';
import type { Offers } from './offers';

/**
 * How long a handed-off socket stays, frozen: a packet that was past the steering program when the flow was entered
 * may still be on its way up, and without a socket the kernel would answer it with RST. That way takes microseconds, or
 * milliseconds where a hypervisor takes the CPU away in the middle. Much longer would cost those clients a second that use
 * their port again meanwhile: the frozen socket drops their SYN (100 ms: 1.8 % of the connections of one busy client).
 */
const KEEP_MS = 20;
const SWEEP_MS = 10;

interface Released {
  readonly fd: number;
  /** Where the connection went. */
  readonly to: Offers;
}

/** Sockets of handed-off connections on their way out. Closing them in repair sends nothing. */
export class ReleaseQueue {
  /** Sockets of this sweep and of the ones before, oldest first. */
  readonly #generations: Released[][] = Array.from({ length: KEEP_MS / SWEEP_MS + 1 }, () => []);
  #timer: NodeJS.Timeout | undefined;

  add(fd: number, to: Offers): void {
    this.#generations.at(-1)?.push({ fd, to });
    this.#timer ??= setTimeout(this.#sweep, SWEEP_MS);
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
    clearTimeout(this.#timer);
    for (const generation of this.#generations) closeAll(generation.splice(0));
  }

  readonly #sweep = (): void => {
    closeAll(this.#generations.shift() ?? []);
    this.#generations.push([]);
    this.#timer = this.size > 0 ? setTimeout(this.#sweep, SWEEP_MS) : undefined;
  };
}

function closeAll(generation: readonly Released[]): void {
  for (const { fd } of generation) release(fd);
}
