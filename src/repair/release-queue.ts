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
  readonly #generations: Set<number>[] = Array.from({ length: KEEP_MS / SWEEP_MS + 1 }, () => new Set());
  #timer: NodeJS.Timeout | undefined;

  /** @param closed is called with each descriptor that is closed, and may be another's from then on. */
  constructor(private readonly closed?: (fd: number) => void) {}

  add(fd: number): void {
    this.#generations.at(-1)?.add(fd);
    this.#timer ??= setTimeout(this.#sweep, SWEEP_MS);
  }

  /** Closes one now, if it is still here: its connection is coming back. */
  closeNow(fd: number): void {
    if (this.#generations.some((generation) => generation.delete(fd))) this.#close(fd);
  }

  get size(): number {
    return this.#generations.reduce((sum, generation) => sum + generation.size, 0);
  }

  stop(): void {
    clearTimeout(this.#timer);
    for (const generation of this.#generations) this.#closeAll(generation);
  }

  readonly #sweep = (): void => {
    this.#closeAll(this.#generations.shift() ?? new Set());
    this.#generations.push(new Set());
    this.#timer = this.size > 0 ? setTimeout(this.#sweep, SWEEP_MS) : undefined;
  };

  #closeAll(generation: Set<number>): void {
    for (const fd of generation) this.#close(fd);
    generation.clear();
  }

  #close(fd: number): void {
    release(fd);
    this.closed?.(fd);
  }
}
