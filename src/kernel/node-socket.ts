/** Node's sockets and the descriptors behind them: what there is no documented way for, in this file only. */
import { Socket, type SocketConstructorOpts } from 'node:net';

interface Handle {
  readonly fd: number;
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

/** Has nothing read from a Socket's descriptor until `resumeReading`, whatever the Socket's streams do. */
export function stopReading(socket: Socket): void {
  handleOf(socket)?.readStop();
}

export function resumeReading(socket: Socket): void {
  handleOf(socket)?.readStart();
}

/** Whether all that was written to a Socket is the kernel's. */
export function isWritten(socket: Socket): boolean {
  return socket.writableLength === 0 && (handleOf(socket)?.writeQueueSize ?? 0) === 0;
}

/** What Node's http.Server keeps at a socket, and of its parser what there has been since Node 18. */
interface ServedSocket {
  readonly parser?: { duration?(): number } | null;
  readonly _httpMessage?: object | null;
}

/**
 * Whether an http.Server that a Socket was given to has answered all that it has read from it, down to the last octet: no
 * response is under way, and of the next request its parser has seen nothing. False where the Socket has left HTTP.
 */
export function isBetweenRequests(socket: Socket): boolean {
  const { parser, _httpMessage: response } = socket as unknown as ServedSocket;
  // How long the message that is being read has been taking; 0 where there is none (src/node_http_parser.cc).
  return parser?.duration?.() === 0 && (response ?? null) === null;
}

function handleOf(socket: Socket): Handle | undefined {
  const { _handle: handle } = socket as unknown as { _handle?: Handle | null };
  return handle ?? undefined;
}
