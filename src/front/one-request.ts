/**
 * Connections that carry one request. After a handoff no front sees what a client sends, so a later request could reach a
 * pool that the routes would not have sent it to. Where that is possible, the connection is handed over for its first
 * request alone: the head says `Connection: close`, and the snapshot tells the agent to let nothing through behind it.
 */
import type { FrontConfig, ListenerConfig } from '../config/model';
import { longestClosingHead, writeClosingHead } from '../peek/closing-head';
import { Http1Peek } from '../peek/http1';
import type { DumpBuffer } from '../repair/dump';
import { RepairError } from '../repair/errors';
import { FLAGS, ONE_REQUEST, RECEIVE_LENGTH } from '../repair/layout';
import { leadToOnePool } from '../route/one-pool';

/**
 * Whether connections of a listener carry one request each: where a later one could be meant for another pool or, in a pool
 * that hashes what requests of one client may differ in, for another backend.
 */
export function carriesOneRequest(
  listener: ListenerConfig,
  { routes, pools }: Pick<FrontConfig, 'routes' | 'pools'>,
): boolean {
  const mixes = pools.some(({ hash = 'client' }) => hash !== 'client');
  return listener.routing === 'per-request' && (mixes || !leadToOnePool(routes));
}

/**
 * Whether more than the message has arrived, judging by the `received` bytes that its head was read from. Of chunks nobody
 * knows without reading them.
 */
export function isFollowed(head: Http1Peek, received: number): boolean {
  return !head.chunked && received > head.headLength + Math.max(0, head.contentLength);
}

export class OneRequest {
  readonly #reader: Http1Peek;
  readonly #closing: Buffer;

  constructor(headBytes: number) {
    this.#reader = new Http1Peek(headBytes);
    this.#closing = Buffer.allocUnsafeSlow(longestClosingHead(headBytes));
  }

  /** Makes a snapshot of `length` bytes that of a connection for its first request alone; returns its new length. */
  limit(dumped: DumpBuffer, length: number): number {
    const received = dumped.bytes.readUInt32BE(RECEIVE_LENGTH);
    // It was read before, and nothing takes bytes out of the queue.
    if (this.#reader.read(dumped.queues, received) !== 'head')
      throw new RepairError('kernel', 'limit to one request: no head in the receive queue');
    const closing = this.#closing.subarray(0, writeClosingHead(this.#reader, dumped.queues, this.#closing));
    dumped.bytes[FLAGS] = ONE_REQUEST;
    return dumped.replaceReceived(length, this.#reader.headLength, closing);
  }
}
