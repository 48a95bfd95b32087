import type { Socket } from 'node:net';

/** What ends a Socket. */
const ENDS = ['destroy', 'end', 'destroySoon'] as const;

/**
 * Keeps a Socket from being ended for a while: its server does not know that it is in repair, where a close is silent and its
 * client would wait for ever, and where a FIN would come between what the next agent says.
 */
export class DestroyGuard {
  #destroyed = false;
  #ended = false;
  /** Somebody may have put his own in the place of the Socket's. */
  readonly #before: readonly (PropertyDescriptor | undefined)[];

  constructor(private readonly socket: Socket) {
    this.#before = ENDS.map((name) => Object.getOwnPropertyDescriptor(socket, name));
    socket.destroy = () => {
      this.#destroyed = true;
      return socket;
    };
    socket.end = socket.destroySoon = () => {
      this.#ended = true;
      return socket;
    };
  }

  /** Whether somebody has wanted to end it. */
  get ended(): boolean {
    return this.#ended || this.#destroyed;
  }

  /** Lets it be ended, and does so where that was wanted. */
  end(): void {
    ENDS.forEach((name, index) => {
      const before = this.#before[index];
      if (before === undefined) Reflect.deleteProperty(this.socket, name);
      else Object.defineProperty(this.socket, name, before);
    });
    if (this.#destroyed) this.socket.destroy();
    else if (this.#ended) this.socket.end();
  }
}
