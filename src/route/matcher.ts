import type { MatchedHead } from './matched-head';

/** One condition of a rule. What it asks and what it says of a head that it turns away stand side by side. */
export interface Matcher {
  /** Its place in a match, as an operator writes it: `host`, `headers.x-tenant`. */
  readonly name: string;
  matches(head: MatchedHead): boolean;
  /** What was there and what was asked for, of a head that does not match: `is /v2, not below /v1`. Bounded in length. */
  failure(head: MatchedHead): string;
}
