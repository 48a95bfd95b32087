/** Node's sockets and the descriptors behind them: what there is no documented way for, in this file only. */
import { Socket, type SocketConstructorOpts } from 'node:net';

interface Handle {
  readonly fd: number;
  /** 0 or an error of libuv, which is a `-errno`. */
  open(fd: number): number;
}

type HandleClass = new (type: number) => Handle;

/** TCPConstants.SOCKET: of a connection, not of a listening socket (src/tcp_wrap.cc in Node). */
const CONNECTION = 0;

let tcpHandle: HandleClass | undefined;

/**
 * A Socket on a connected TCP socket, whose descriptor is the Socket's from here on. It reads, and its writing side stays
 * open when the client has closed its own.
 *
 * `new Socket({ fd })` asks the kernel with four system calls what kind of descriptor it is given. A handle of the right
 * kind needs none of them; the first Socket shows which one that is.
 */
export function socketOn(fd: number): Socket {
  const options = { allowHalfOpen: true, readable: true, writable: true };
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

function handleOf(socket: Socket): Handle | undefined {
  const { _handle: handle } = socket as unknown as { _handle?: Handle | null };
  return handle ?? undefined;
}
