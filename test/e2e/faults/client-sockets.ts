import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Host } from '../../../src/lab/host';
import { inNamespace } from '../../../src/lab/ip';
import { RawConnection } from './raw-connection';

const OPENER = join(__dirname, 'socket-opener.cjs');

export interface ConnectOptions {
  readonly host: string;
  readonly port?: number;
  /** A fixed port of the client's, for tests that use one again. */
  readonly localPort?: number;
}

interface Answer {
  readonly id: number;
  readonly error?: string;
}

/**
 * Connections of a client host, held by this process: a test sends and reads packet by packet without a program of its
 * own in the namespace. A helper process there opens them and passes them on.
 */
export class ClientSockets {
  readonly #opened = new Set<Socket>();
  readonly #waiting = new Map<number, (answer: Answer, socket: Socket | undefined) => void>();
  #lastId = 0;

  private constructor(private readonly opener: ChildProcess) {
    opener.on('message', (answer: Answer, socket) => {
      this.#waiting.get(answer.id)?.(answer, socket as Socket | undefined);
      this.#waiting.delete(answer.id);
    });
  }

  static async start(host: Host): Promise<ClientSockets> {
    const [execPath = '', ...execArgv] = inNamespace(host.netns, [process.execPath]);
    const opener = fork(OPENER, { execPath, execArgv });
    await once(opener, 'message');
    return new ClientSockets(opener);
  }

  /** Resolves when the handshake is done; rejects with the error's code, `ECONNREFUSED`. */
  connect(options: ConnectOptions): Promise<RawConnection> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ error }, socket) => {
        if (socket === undefined) {
          reject(new Error(error));
          return;
        }
        this.#opened.add(socket);
        socket.once('close', () => this.#opened.delete(socket));
        resolve(new RawConnection(socket));
      });
      this.opener.send({ id, options: { port: 80, ...options } });
    });
  }

  /** Closes what is still open. */
  closeAll(): void {
    for (const socket of this.#opened) socket.destroy();
  }

  /** Likewise, and ends the helper. */
  async stop(): Promise<void> {
    this.closeAll();
    const exited = once(this.opener, 'exit');
    this.opener.disconnect();
    await exited;
  }
}
