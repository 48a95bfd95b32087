import { STATUS_CODES } from 'node:http';

/** The answer to what is no request, in the octets of the wire: nobody may read another one behind it. */
export function lastWords(status: number): string {
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
}
