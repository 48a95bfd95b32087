/** Node's sockets and the descriptors behind them: what there is no documented way for, in this file only. */
import { Socket, type Server, type SocketConstructorOpts } from 'node:net';
import { duplicate } from './descriptor';
import { setLinger, unacknowledgedBytes } from './socket';

interface Handle {
  close(): void;
  readonly fd: number;
  reading: boolean;
  /** 0 or an error of libuv, which is a `-errno`. */
  open(fd: number): number;
  readStart(): number;
  readStop(): number;
  /** Octets that wait to be written. */
  readonly writeQueueSize?: number;
}

type HandleClass = new (type: number) => Handle;

/** TCPConstants.SOCKET: of a connection, not of a listening socket (src/tcp_wrap.cc in Node). */
const CONNECTION = 0;
/** As much as libuv reads at once. */
const READ_BYTES = 64 * 1024;

let tcpHandle: HandleClass | undefined;
/** Of all gated sockets: what is read is dealt with, or copied, before anything else is read. */
let readBuffer: Buffer | undefined;

/** Takes what is read in place of a socket's stream: `bytes` [0, `length`), valid during the call. False stops reading. */
export type Gate = (length: number, bytes: Buffer) => boolean;

/**
 * A Socket on a connected TCP socket, whose descriptor is the Socket's from here on. It reads, and its writing side stays
 * open when the client has closed its own. With a `gate` what is read goes there, and only the end comes to the stream.
 *
 * `new Socket({ fd })` asks the kernel with four system calls what kind of descriptor it is given. A handle of the right
 * kind needs none of them; the first Socket shows which one that is.
 */
export function socketOn(fd: number, gate?: Gate): Socket {
  const onread = gate && {
    buffer: (readBuffer ??= Buffer.allocUnsafeSlow(READ_BYTES)),
    callback: gate as (length: number, bytes: Uint8Array) => boolean,
  };
  const options = { allowHalfOpen: true, readable: true, writable: true, ...(onread && { onread }) };
  const handle = tcpHandle && new tcpHandle(CONNECTION);
  if (handle?.open(fd) === 0) return new Socket({ ...options, handle } as SocketConstructorOpts);
  const socket = new Socket({ ...options, fd });
  tcpHandle = handleOf(socket)?.constructor as HandleClass | undefined;
  return socket;
}

/** The descriptor of a Socket; undefined when it is closed. */
export function descriptorOf(socket: Socket): number | undefined {
  return handleOf(socket)?.fd;
}

/** The descriptor of a server that listens; undefined where it does not. */
export function listeningDescriptor(server: Server): number | undefined {
  const { _handle: handle } = server as unknown as { _handle?: { readonly fd: number } | null };
  return handle?.fd;
}

/**
 * Another Socket on the connection of one, for `process.send`: that closes it when the other process has got it, and nothing is
 * read from it or said about it. Throws a KernelError where there are no descriptors.
 */
export function socketToSend(socket: Socket): Socket {
  return new Socket({ fd: duplicate(descriptorOf(socket) ?? -1), readable: false });
}

/** How the descriptor of a Socket is closed that `process.send` has taken, and perhaps never passed on; idempotent. */
export function closerOf(socket: Socket): () => void {
  const handle = handleOf(socket);
  return () => handle?.close();
}

/**
 * The descriptor of a Socket that another process has sent: from within the event that brings it, before anything is read. The
 * Socket is gone then. Throws a KernelError where there are no descriptors, and then so is the connection.
 */
export function sentDescriptor(socket: Socket): number {
  try {
    return duplicate(descriptorOf(socket) ?? -1);
  } finally {
    socket.destroy();
  }
}

/** Ends a connection by RST. Node's own resetAndDestroy fails, and leaves the socket open, where end() has been called (uv_tcp_close_reset in libuv). */
export function cutOff(socket: Socket): void {
  const fd = descriptorOf(socket);
  if (fd !== undefined) setLinger(fd, 0);
  socket.destroy();
}

/** Whether all that was written to a Socket is the kernel's. */
export function isWritten(socket: Socket): boolean {
  return socket.writableLength === 0 && (handleOf(socket)?.writeQueueSize ?? 0) === 0;
}

/** Whether the other end has acknowledged all that was written to a Socket. */
export function isDelivered(socket: Socket): boolean {
  const fd = descriptorOf(socket);
  return fd !== undefined && isWritten(socket) && unacknowledgedBytes(fd) === 0;
}

/** Reads nothing more from the descriptor until `startReading`, whatever anybody else asks of the Socket meanwhile. */
export function stopReading(socket: Socket): void {
  const handle = handleOf(socket);
  if (handle === undefined) return;
  handle.readStop();
  handle.reading = false;
  // All that starts it goes this way (tryReadStart in lib/net.js).
  handle.readStart = () => 0;
}

/**
 * The undo; a Socket that is paused goes on when it is resumed. With `asked` it has been asked for more meanwhile (`read()`), and
 * waits for that, paused or not.
 */
export function startReading(socket: Socket, asked = false): void {
  const handle = handleOf(socket);
  if (handle === undefined) return;
  Reflect.deleteProperty(handle, 'readStart');
  handle.reading = asked || !socket.isPaused();
  if (handle.reading) handle.readStart();
}

function handleOf(socket: Socket): Handle | undefined {
  const { _handle: handle } = socket as unknown as { _handle?: Handle | null };
  return handle ?? undefined;
}
