import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A frame, built here by hand so that a mistake in the house's own code shows. */
export function frame(type: number, payload: Buffer | string = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.from(payload as string);
  const header = Buffer.alloc(5);
  header.writeUInt32BE(bytes.length, 0);
  header[4] = type;
  return Buffer.concat([header, bytes]);
}

/** The 8 bytes of a handoff's id, and whatever follows them. */
export function idPayload(epoch: number, sequence: number, ...rest: number[]): Buffer {
  const id = Buffer.alloc(8);
  id.writeUInt32BE(epoch, 0);
  id.writeUInt32BE(sequence, 4);
  return Buffer.concat([id, Buffer.from(rest)]);
}

export interface ReadFrame {
  readonly type: number;
  readonly payload: Buffer;
}

/** The other end of a control channel: sends any bytes, and takes frames apart without the house's decoder. */
export class RawPeer {
  /** What has arrived and was not yet taken by `next`: the beginning, and pieces that were not needed yet. */
  #unread: Buffer = Buffer.alloc(0);
  #later: Buffer[] = [];
  /** How many pieces have arrived. */
  pieces = 0;
  ended = false;

  constructor(readonly socket: Socket) {
    socket.on('data', (data: Buffer) => {
      this.pieces += 1;
      this.#later.push(data);
      socket.emit('progress');
    });
    // A peer that sends rubbish must expect to be cut off in whatever way.
    socket.on('error', () => undefined);
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.ended = true;
        socket.emit('progress');
      });
    }
  }

  static async connect(port: number): Promise<RawPeer> {
    const socket = connect({ port, host: '127.0.0.1' });
    const peer = new RawPeer(socket);
    await once(socket, 'connect');
    return peer;
  }

  send(...parts: Buffer[]): this {
    this.socket.write(Buffer.concat(parts));
    return this;
  }

  /** The next frame that is not a PING; undefined when the connection ends before. */
  async next(): Promise<ReadFrame | undefined> {
    for (;;) {
      const taken = this.#take();
      if (taken !== undefined && taken.type !== PING) return taken;
      if (taken !== undefined) continue;
      if (this.ended) return undefined;
      await once(this.socket, 'progress');
    }
  }

  /** Resolves when the connection is over. */
  async end(): Promise<void> {
    while (!this.ended) await once(this.socket, 'progress');
  }

  #take(): ReadFrame | undefined {
    if (!this.#has(5)) return undefined;
    const end = 5 + this.#unread.readUInt32BE(0);
    if (!this.#has(end)) return undefined;
    const taken = { type: this.#unread.readUInt8(4), payload: Buffer.from(this.#unread.subarray(5, end)) };
    this.#unread = this.#unread.subarray(end);
    return taken;
  }

  /** Pieces are joined as they are needed: joining each as it comes would copy all that waits, again and again. */
  #has(length: number): boolean {
    let unread = this.#unread.length;
    let pieces = 0;
    while (unread < length && pieces < this.#later.length) unread += this.#later[pieces++]?.length ?? 0;
    if (unread < length) return false;
    if (pieces > 0) this.#unread = Buffer.concat([this.#unread, ...this.#later.splice(0, pieces)]);
    return true;
  }
}

const PING = 9;

/** A TCP server that hands out one RawPeer after the other. */
export class RawServer {
  readonly #server: Server;
  readonly #accepted: RawPeer[] = [];
  /** Every connection there ever was. */
  connections = 0;

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      this.connections += 1;
      this.#accepted.push(new RawPeer(socket));
      server.emit('peer');
    });
  }

  static async open(): Promise<RawServer> {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new RawServer(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async accept(): Promise<RawPeer> {
    for (;;) {
      const peer = this.#accepted.shift();
      if (peer !== undefined) return peer;
      await once(this.#server, 'peer');
    }
  }

  close(): void {
    this.#server.close();
  }
}
