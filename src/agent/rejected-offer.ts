import type { RejectReason } from '../wire/frames';

/** An offer that the agent does not take; `reason` goes to the front, the message to the log. */
export class RejectedOffer extends Error {
  constructor(
    readonly reason: RejectReason,
    message: string,
  ) {
    super(message);
    this.name = 'RejectedOffer';
  }
}
