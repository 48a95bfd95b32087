import { Socket } from 'node:net';

const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})/;

/**
 * Reads the status of an answer that is written past the server, from what is first written to its connection: who takes a
 * connection over by `upgrade` writes the head itself. The status is 0 before, and where that is no head.
 */
export class FirstStatus {
  status = 0;

  constructor(private readonly socket: Socket) {
    // What every way to write comes to.
    socket._write = (chunk: unknown, encoding, callback) => {
      this.#read(chunk);
      Socket.prototype._write.call(socket, chunk, encoding, callback);
    };
    socket._writev = (chunks, callback) => {
      this.#read((chunks[0] as { chunk?: unknown } | undefined)?.chunk);
      Socket.prototype._writev?.call(socket, chunks, callback);
    };
  }

  /** Stops looking; the connection is what it was. */
  release(): void {
    Reflect.deleteProperty(this.socket, '_write');
    Reflect.deleteProperty(this.socket, '_writev');
  }

  #read(first: unknown): void {
    this.release();
    const text = Buffer.isBuffer(first) ? first.toString('latin1', 0, 12) : String(first);
    this.status = Number(STATUS_LINE.exec(text)?.[1] ?? 0);
  }
}
