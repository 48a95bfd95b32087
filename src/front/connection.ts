import type { Expirable } from './deadlines';

/** An accepted connection that the front still owns: its descriptor and what is known of it. */
export class Connection implements Expirable {
  expiresAt = 0;
  /** Whether its descriptor is watched for more bytes of the head. */
  watched = false;
  /** Whether any byte has arrived. */
  spoke = false;

  constructor(
    readonly fd: number,
    /** FLOW_BYTES. */
    readonly flow: Buffer,
  ) {}
}
