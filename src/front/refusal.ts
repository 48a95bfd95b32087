import { STATUS_CODES } from 'node:http';
import { Socket } from 'node:net';
import { close } from '../kernel/libc';
import { setLinger } from '../kernel/socket';
import { isBodiless, type Answer } from '../relay/destination';
import { plainAnswer } from '../relay/plain-answer';

/** How long a client may take to read an answer, of which the kernel holds most. */
const ANSWER_MS = 10_000;
/**
 * How long a client that has its answer may take to close. Closing at once, with its bytes unread, would send a RST that
 * can overtake the answer (RFC 9112 section 9.6).
 */
const LINGER_MS = 2000;

/** Refuses with a short plain-text answer and closes; `closed` is called when the socket is gone. */
export function refuse(fd: number, status: number, closed: () => void): void {
  answer(fd, plainAnswer(status), true, closed);
}

/** Likewise with any answer; without its body where HEAD is answered. Nothing of the request has been read yet. */
export function answer(fd: number, given: Answer, withBody: boolean, closed: () => void): void {
  const socket = new Socket({ fd, allowHalfOpen: true });
  let timer = setTimeout(() => socket.destroy(), ANSWER_MS);
  socket.on('error', () => socket.destroy());
  // A client may have closed its side before it has read anything, and what is not written yet still goes out.
  socket.on('end', () => socket.destroySoon());
  socket.on('close', () => {
    clearTimeout(timer);
    closed();
  });
  socket.resume();
  socket.end(messageOf(given, withBody), () => {
    if (socket.destroyed) return;
    clearTimeout(timer);
    timer = setTimeout(() => socket.destroy(), LINGER_MS);
  });
}

/** Ends a connection in whose protocol nothing can be said: the RST tells at least that nobody will answer. */
export function cutOff(fd: number): void {
  setLinger(fd, 0);
  close(fd);
}

function messageOf({ status, fields, body }: Answer, withBody: boolean): Buffer {
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, `Date: ${new Date().toUTCString()}`];
  for (let i = 0; i + 1 < fields.length; i += 2) lines.push(`${fields[i] ?? ''}: ${fields[i + 1] ?? ''}`);
  if (!isBodiless(status)) lines.push(`Content-Length: ${body.length}`);
  const head = Buffer.from(`${lines.join('\r\n')}\r\nConnection: close\r\n\r\n`, 'latin1');
  return withBody && !isBodiless(status) ? Buffer.concat([head, body]) : head;
}
