import type { Socket } from 'node:net';

/**
 * Keeps a Socket from being destroyed for a while: its server does not know that it is in repair, where a close is silent and
 * its client would wait for ever.
 */
export class DestroyGuard {
  #wanted = false;

  constructor(private readonly socket: Socket) {
    socket.destroy = () => {
      this.#wanted = true;
      return socket;
    };
  }

  /** Whether somebody has wanted to. */
  get destroyed(): boolean {
    return this.#wanted;
  }

  /** Destroys it when the guard ends. */
  destroy(): void {
    this.#wanted = true;
  }

  /** Lets it be destroyed, and does so where that was wanted. */
  end(): void {
    Reflect.deleteProperty(this.socket, 'destroy');
    if (this.#wanted) this.socket.destroy();
  }
}
