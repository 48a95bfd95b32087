import { STATUS_CODES } from 'node:http';
import { Socket } from 'node:net';

/**
 * How long a refused client may take to read its answer and close. Closing at once, with its bytes unread, would send a
 * RST that can overtake the answer (RFC 9112 section 9.6).
 */
const LINGER_MS = 2000;

/** Answers with a short plain-text response and closes; `closed` is called when the socket is gone. */
export function refuse(fd: number, status: number, closed: () => void): void {
  const socket = new Socket({ fd, allowHalfOpen: true });
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.on('error', () => socket.destroy());
  socket.on('end', () => socket.destroy());
  socket.on('close', () => {
    clearTimeout(timer);
    closed();
  });
  socket.resume();
  socket.end(response(status));
}

function response(status: number): string {
  const reason = STATUS_CODES[status] ?? 'Error';
  const retry = status === 503 || status === 429 ? 'Retry-After: 1\r\n' : '';
  return (
    `HTTP/1.1 ${status} ${reason}\r\n` +
    `Date: ${new Date().toUTCString()}\r\n` +
    `Content-Type: text/plain\r\nContent-Length: ${reason.length + 1}\r\n${retry}Connection: close\r\n\r\n${reason}\n`
  );
}
