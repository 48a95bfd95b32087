/**
 * How busy an agent is:
 *
 *   0  4  adopted connections that are open
 *   4  4  COMMITs that it has read from this channel, modulo 2^32
 *   8  4  responses that ended on adopted connections so far, modulo 2^32
 *  12  4  of these, server errors (5xx), modulo 2^32
 *  16  8  milliseconds that all of these took together, an IEEE double
 *  24  4  1 while the agent wants no more connections (it takes them all the same), else 0
 *
 * From its own commits and those that the agent had read a front knows which of them the connections include.
 */
import { ProtocolError, REPORT_BYTES } from './frames';

/** Time from a request to the end of its response, as far as the application is concerned. */
export interface ResponseCounts {
  readonly responses: number;
  readonly serverErrors: number;
  readonly totalMs: number;
}

export interface Report extends ResponseCounts {
  readonly connections: number;
  readonly commits: number;
  readonly draining: boolean;
}

export function writeReport(report: Report, into: Buffer, at: number): void {
  into.writeUInt32BE(report.connections, at);
  into.writeUInt32BE(report.commits >>> 0, at + 4);
  into.writeUInt32BE(report.responses >>> 0, at + 8);
  into.writeUInt32BE(report.serverErrors >>> 0, at + 12);
  into.writeDoubleBE(report.totalMs, at + 16);
  into.writeUInt32BE(report.draining ? 1 : 0, at + 24);
}

/** Throws a ProtocolError. */
export function readReport(bytes: Buffer, offset: number, length: number): Report {
  if (length !== REPORT_BYTES) throw new ProtocolError('report of another length');
  const totalMs = bytes.readDoubleBE(offset + 16);
  if (!(totalMs >= 0 && totalMs < Infinity)) throw new ProtocolError('report of a time that there is not');
  return {
    connections: bytes.readUInt32BE(offset),
    commits: bytes.readUInt32BE(offset + 4),
    responses: bytes.readUInt32BE(offset + 8),
    serverErrors: bytes.readUInt32BE(offset + 12),
    totalMs,
    // Later agents may say more in these bits.
    draining: (bytes.readUInt32BE(offset + 24) & 1) === 1,
  };
}

/** What was counted between two reports on the same channel. */
export function countedBetween(earlier: ResponseCounts, later: ResponseCounts): ResponseCounts {
  return {
    responses: (later.responses - earlier.responses) >>> 0,
    serverErrors: (later.serverErrors - earlier.serverErrors) >>> 0,
    totalMs: Math.max(0, later.totalMs - earlier.totalMs),
  };
}
