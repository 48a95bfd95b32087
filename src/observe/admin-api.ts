import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { AdminListen } from '../config/model';
import { addressOf } from '../kernel/bound-socket';
import { listeningDescriptor } from '../kernel/node-socket';
import type { ListeningSocket } from '../succession/inherited-sockets';
import { inheritAdmin, listenAdmin } from './admin';
import { leaveName } from './admin-socket';

/** The admin API with its listening socket, which may come from another process and go to another one. */
export class AdminApi {
  #closed = false;

  constructor(
    private readonly app: FastifyInstance,
    private readonly listen: AdminListen,
    private readonly inherited: ListeningSocket | undefined,
    private readonly logger: Logger,
  ) {}

  /** Whether another process has listened on its socket. */
  get isInherited(): boolean {
    return this.inherited !== undefined;
  }

  /** Answers from here on; throws an Error that says where it cannot listen, and what to do. */
  async open(): Promise<void> {
    if (this.inherited === undefined) {
      const address = await listenAdmin(this.app, this.listen);
      this.logger.info(address, 'admin API is listening');
      return;
    }
    await inheritAdmin(this.app, this.listen, this.inherited);
    this.logger.info({ address: addressOf(this.listen) }, 'admin API is listening');
  }

  /** Answers as soon as the predecessor does not any more: two that answer in turn would make counters jump back and forth. */
  async openAfter(free: Promise<void>): Promise<void> {
    try {
      await free;
      if (!this.#closed) await this.open();
    } catch (error) {
      // There is no way back, and connections are served all the same.
      this.logger.error({ cause: String(error) }, 'the admin API is out of order');
    }
  }

  /** What it listens on, for a successor. */
  socket(): ListeningSocket & { readonly address: string } {
    const { fd = listeningDescriptor(this.app.server), held = false } = this.inherited ?? {};
    if (fd === undefined) throw new Error('admin: the server does not listen');
    return { fd, held, address: addressOf(this.listen) };
  }

  /** Takes no more requests, since `another` process listens on the socket; those under way are answered. */
  leave(another: boolean): void {
    if (another) leaveName(this.app.server);
    this.app.server.close();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.app.close();
  }
}
