/** The seam to DNS. A name that is not there, or has no such records, has none; whatever else went wrong is a QueryFailed. */

/** An A or AAAA record, or what a chain of CNAMEs ends in. */
export interface AddressRecord {
  readonly address: string;
  /** Seconds that it may be believed, the shortest of its chain. */
  readonly ttl: number;
}

/** An SRV record (RFC 2782). */
export interface ServiceRecord {
  readonly target: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** A question that was not answered, or not with yes or no. */
export class QueryFailed extends Error {
  constructor(
    /** Kind of record and name. */
    question: string,
    /** Of c-ares, such as ETIMEOUT or ESERVFAIL. */
    readonly code: string,
    options?: ErrorOptions,
  ) {
    super(`query ${question}: ${code}`, options);
  }
}

/** For one resolution; both questions reject with QueryFailed. */
export interface Resolver {
  addresses(name: string, family: 4 | 6): Promise<readonly AddressRecord[]>;
  services(name: string): Promise<readonly ServiceRecord[]>;
  /** Rejects what is under way. */
  cancel(): void;
}
