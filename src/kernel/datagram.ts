import { must } from './errors';
import { close, connect, send, socket } from './libc';
import { MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_CLOEXEC } from './socket';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
/** sizeof(sun_path); the path ends with a zero byte, unless it is an abstract one. */
const MOST_PATH_BYTES = 108;

/**
 * Sends one datagram to a Unix socket, which Node cannot: at a path, or an abstract one as `@name`. Throws a RangeError for
 * a path that is too long and a KernelError that names the step.
 */
export function sendUnixDatagram(path: string, text: string): void {
  const name = Buffer.from(path.replace(/^@/, '\0'));
  if (name.length >= MOST_PATH_BYTES) throw new RangeError(`${path} is too long for a Unix socket`);
  const address = Buffer.alloc(2 + name.length);
  address.writeUInt16LE(AF_UNIX, 0);
  name.copy(address, 2);
  const message = Buffer.from(text);
  const fd = must(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'socket');
  try {
    must(connect(fd, address, address.length), `connect ${path}`);
    must(send(fd, message, message.length, MSG_DONTWAIT | MSG_NOSIGNAL), `send to ${path}`);
  } finally {
    close(fd);
  }
}
