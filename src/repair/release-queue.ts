import { release } from './dump';

/**
 * How long a handed-off socket stays, frozen: a packet that was past the steering program when the flow was entered
 * may still be on its way up, and without a socket the kernel would answer it with RST. That way takes microseconds, or
 * milliseconds where a hypervisor takes the CPU away in the middle. Much longer would cost those clients a second that use
 * their port again meanwhile: the frozen socket drops their SYN (100 ms: 1.8 % of the connections of one busy client).
 */
const KEEP_MS = 20;
const SWEEP_MS = 10;

/** Sockets of handed-off connections on their way out. Closing them in repair sends nothing. */
export class ReleaseQueue {
  /** Descriptors of this sweep and of the ones before, oldest first. */
  readonly #generations: number[][] = Array.from({ length: KEEP_MS / SWEEP_MS + 1 }, () => []);
  #timer: NodeJS.Timeout | undefined;

  add(fd: number): void {
    this.#generations.at(-1)?.push(fd);
    this.#timer ??= setTimeout(this.#sweep, SWEEP_MS);
  }

  get size(): number {
    return this.#generations.reduce((sum, generation) => sum + generation.length, 0);
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

function closeAll(generation: readonly number[]): void {
  for (const fd of generation) release(fd);
}
