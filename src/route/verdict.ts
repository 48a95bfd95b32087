/** What became of one rule in a search, for an operator who asks why. */
export interface RuleVerdict {
  /** Its place among the rules, from 0 on. */
  readonly number: number;
  /** Whether all its conditions hold: also of a rule that is not reached. */
  readonly matched: boolean;
  /** The first condition that does not hold: `host: is b.example.com, not *.example.org`. Absent where all do. */
  readonly failed?: string;
  /** False behind the one that wins, which is the one that is reached and matched. */
  readonly reached: boolean;
}
