import type { Server } from 'node:http';
import type { Endpoint } from '../config/model';
import { addressOf } from '../kernel/bound-socket';
import { listeningDescriptor } from '../kernel/node-socket';
import type { InheritedSockets, ListeningSocket } from '../succession/inherited-sockets';

/** Where an application listens for connections that come to it directly (`serve.listen`). */
export class OrdinaryListener {
  readonly #address: string;
  readonly #inherited: ListeningSocket | undefined;

  /** @param sockets of the process before this one. */
  constructor(
    private readonly server: Server,
    private readonly listen: Endpoint,
    sockets: InheritedSockets | undefined,
  ) {
    this.#address = addressOf(listen);
    [this.#inherited] = sockets?.take(this.#address) ?? [];
  }

  /** Whether it listens already, in the process before this one. */
  get inherited(): boolean {
    return this.#inherited !== undefined;
  }

  /** Accepts connections from here on; throws an Error that names the address. */
  open(): Promise<void> {
    const { server } = this;
    const { host, port } = this.listen;
    return new Promise((resolve, reject) => {
      const refused = (cause: Error): void =>
        reject(new Error(`serve.listen ${host}:${port}: ${cause.message}`, { cause }));
      server.once('error', refused);
      server.listen(this.#inherited === undefined ? { port, host } : { fd: this.#inherited.fd }, () => {
        server.off('error', refused);
        // Errors of accept(2), descriptors that ran out above all: they pass, and must not end the agent.
        server.on('error', () => undefined);
        resolve();
      });
    });
  }

  /** The listening socket, for a successor. */
  sockets(): (ListeningSocket & { readonly address: string })[] {
    const fd = listeningDescriptor(this.server);
    return fd === undefined ? [] : [{ fd, held: false, address: this.#address }];
  }
}
