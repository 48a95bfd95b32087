import { must } from '../../src/kernel/errors';
import {
  flowClientFromSockaddr,
  flowVipFromSockaddr,
  FLOW_BYTES,
  SOCKADDR_BYTES,
  sockaddrFromEndpoint,
} from '../../src/kernel/flow';
import { close, connect, send, socket } from '../../src/kernel/libc';
import {
  accept,
  AF_INET,
  AF_INET6,
  listenOn,
  localAddress,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SOCK_CLOEXEC,
  SOCK_STREAM,
} from '../../src/kernel/socket';

/** A connection over loopback with bare descriptors at both ends, so that nothing reads unless the test does. */
export interface Pair {
  readonly listener: number;
  readonly client: number;
  /** The accepted end. */
  readonly server: number;
  /** As the server's end sees it. */
  readonly flow: Buffer;
  /** Hands the accepted end over to somebody who will close it. */
  giveServer(): number;
  /** Closes the client's end: a FIN, as long as it has read everything. */
  hangUp(): void;
  /** Closes what is left of it. */
  close(): void;
}

export const portOf = (fd: number): number => {
  const address = Buffer.alloc(SOCKADDR_BYTES);
  must(localAddress(fd, address), 'getsockname');
  return address.readUInt16BE(2);
};

/** A blocking client that has completed its handshake. */
export function dial(host: string, port: number): number {
  const address = Buffer.alloc(SOCKADDR_BYTES);
  const length = sockaddrFromEndpoint(host, port, address);
  const fd = must(socket(host.includes(':') ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), 'socket');
  must(connect(fd, address, length), 'connect');
  return fd;
}

export function openPair(host = '127.0.0.1'): Pair {
  const listener = listenOn({ host, port: 0, backlog: 8, deferAccept: 0 });
  const client = dial(host, portOf(listener));
  const address = Buffer.alloc(SOCKADDR_BYTES);
  const flow = Buffer.alloc(FLOW_BYTES);
  const server = must(accept(listener, address), 'accept');
  flowClientFromSockaddr(address, flow);
  must(localAddress(server, address), 'getsockname');
  flowVipFromSockaddr(address, flow);
  const open = new Set([client, server, listener]);
  const closeNow = (fd: number): void => {
    if (open.delete(fd)) close(fd);
  };
  return {
    listener,
    client,
    server,
    flow,
    giveServer: () => (open.delete(server), server),
    hangUp: () => closeNow(client),
    close: () => open.forEach(closeNow),
  };
}

/** Sends all of it or throws: for amounts that a socket's buffer takes at once. */
export function sendAll(fd: number, data: string | Buffer, flags = 0): void {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  const sent = must(send(fd, bytes, bytes.length, flags | MSG_DONTWAIT | MSG_NOSIGNAL), 'send');
  if (sent !== bytes.length) throw new Error(`sent ${sent} of ${bytes.length} bytes`);
}

/** Awaits a condition, a turn of the event loop at a time; throws when it does not come true within `timeoutMs`. */
export async function until(condition: () => boolean, timeoutMs = 4000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${String(condition)}`);
    await new Promise(setImmediate);
  }
}

/** Lets the event loop poll for descriptors `count` times. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
}
