import { writeClosingHead } from '../peek/closing-head';
import { longestEditedHead, writeEditedHead } from '../peek/edited-head';
import type { HeadChanges } from '../peek/head';
import { Http1Peek } from '../peek/http1';
import type { DumpBuffer } from '../repair/dump';
import { RepairError } from '../repair/errors';
import { FLAGS, ONE_REQUEST, RECEIVE_LENGTH } from '../repair/layout';

/**
 * Puts another head into a dumped receive queue: the bytes that are restored need not be those that the client sent,
 * because only their length enters the sequence arithmetic.
 */
export class HeadEditor {
  readonly #reader: Http1Peek;
  readonly #edited: Buffer;

  /** `addedBytes`: the most that changes may add to a head. */
  constructor(headBytes: number, addedBytes: number) {
    this.#reader = new Http1Peek(headBytes);
    this.#edited = Buffer.allocUnsafeSlow(longestEditedHead(headBytes, addedBytes));
  }

  /**
   * Makes the changes in a snapshot of `length` bytes, and, if it is `oneRequest`, makes it that of a connection for its first
   * request alone (judging.ts). Returns the new length. Throws a RepairError where the queue would grow over its limit.
   */
  edit(dumped: DumpBuffer, length: number, oneRequest: boolean, changes?: HeadChanges): number {
    const received = dumped.bytes.readUInt32BE(RECEIVE_LENGTH);
    // It was read before, and nothing takes bytes out of the queue.
    if (this.#reader.read(dumped.queues, received) !== 'head')
      throw new RepairError('kernel', 'edit the head: none in the receive queue');
    const written =
      changes === undefined
        ? writeClosingHead(this.#reader, dumped.queues, this.#edited)
        : writeEditedHead(this.#reader, dumped.queues, this.#edited, changes, oneRequest);
    if (oneRequest) dumped.bytes[FLAGS] = ONE_REQUEST;
    return dumped.replaceReceived(length, this.#reader.headLength, this.#edited.subarray(0, written));
  }
}
