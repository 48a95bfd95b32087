import { release } from '../repair/dump';

/**
 * How long a handed-off socket stays, frozen: a packet that was past the steering program when the flow was entered
 * may still be on its way up, and without a socket the kernel would answer it with RST.
 */
const KEEP_MS = 100;
const SWEEP_MS = 50;

/** Sockets of handed-off connections on their way out. Closing them in repair sends nothing. */
export class ReleaseQueue {
  /** Descriptors of this sweep and of the ones before, oldest first. */
  readonly #generations: number[][] = Array.from({ length: KEEP_MS / SWEEP_MS + 1 }, () => []);
  readonly #timer = setInterval(() => this.#sweep(), SWEEP_MS).unref();

  add(fd: number): void {
    this.#generations.at(-1)?.push(fd);
  }

  get size(): number {
    return this.#generations.reduce((sum, generation) => sum + generation.length, 0);
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const generation of this.#generations) generation.splice(0).forEach(release);
  }

  #sweep(): void {
    const oldest = this.#generations.shift() ?? [];
    oldest.forEach(release);
    this.#generations.push([]);
  }
}
