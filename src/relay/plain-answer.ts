import { STATUS_CODES } from 'node:http';
import type { Answer } from './destination';

/** An answer that says its status in a line of plain text. */
export function plainAnswer(status: number): Answer {
  const fields = ['Content-Type', 'text/plain'];
  // RFC 9110 section 10.2.3: a moment is enough for a reload or for a backend to come up.
  if (status === 503 || status === 429) fields.push('Retry-After', '1');
  return { status, fields, body: Buffer.from(`${STATUS_CODES[status] ?? 'Error'}\n`) };
}
