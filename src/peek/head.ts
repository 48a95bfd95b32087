/**
 * What routing may ask of an application-level header, whichever protocol it came from.
 * A TLS ClientHello answers with its server name as `host` and nothing else.
 */
export interface RoutableHead {
  /** Request method as sent (case-sensitive, RFC 9110 section 9.1); '' where the protocol has none. */
  readonly method: string;
  /** Host in lower case, without port and without the brackets of an IPv6 literal; '' where unknown. */
  readonly host: string;
  /** Path as sent, without query, starting with '/' ('*' for `OPTIONS *`); '' where the protocol has none. */
  readonly path: string;
  /** Query without the '?'; '' where there is none. */
  readonly query: string;
  /**
   * Value of a header field by its lower-case name, lines of the same name joined by ', ' (RFC 9110 section 5.3), those of
   * cookies by '; ' (RFC 9113 section 8.2.3, and what Node's server makes of them); undefined where the head has no such
   * field.
   */
  header(lowerCaseName: string): string | undefined;
}

/** What a connection without a head has in its place: nothing that is asked of a head holds for it. */
export const NO_HEAD: RoutableHead = { method: '', host: '', path: '', query: '', header: () => undefined };

/** What becomes of a head on its way to a backend. */
export interface HeadChanges {
  /** In place of the path, and never longer than that; absent: as it was sent. */
  readonly path?: string;
  /** Fields with their values, each in place of all that has its name. */
  readonly set: readonly (readonly [name: string, value: string])[];
  /** Names in lower case of the fields that go, those in `set` included. */
  readonly without: readonly string[];
}

/** Who asks: `client` begins with the 16 bytes of the address (kernel/flow.ts). It is read by those who need it, and only then. */
export interface Asker {
  readonly client: Buffer;
  /** Name of the listener that the connection came to; absent where nobody knows. */
  readonly listener?: string;
}

/** What stands between the values of several lines of a field. */
export function separatorOf(lowerCaseName: string): string {
  return lowerCaseName === 'cookie' ? '; ' : ', ';
}
