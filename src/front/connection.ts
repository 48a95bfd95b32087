import type { Expirable } from './deadlines';

/** An accepted connection that the front still owns: its descriptor and what is known of it. */
export class Connection implements Expirable {
  expiresAt = 0;
  /** Not 0 while its descriptor is watched for more bytes of the head: the tag of its events. */
  watched = 0;
  /** Bytes of its head when it was last read; 0 until any have arrived. */
  read = 0;

  /** Whether it counts for limits (connection-counts.ts): not where it was refused by them. */
  counted = true;

  constructor(
    readonly fd: number,
    /** FLOW_BYTES. */
    readonly flow: Buffer,
    /** Whether its later requests are judged: judging.ts. */
    readonly judged: boolean,
    /** Name of the listener that it came to. */
    readonly listener: string,
    /** Whether it has no head: it is handed off at once, and gets no answer that a client could not read. */
    readonly raw: boolean,
  ) {}

  /** Begins with the client's address. */
  get client(): Buffer {
    return this.flow;
  }
}
