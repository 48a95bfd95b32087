import type { MatchedHead } from './matched-head';
import type { ValueMatch } from './match';
import type { Matcher } from './matcher';
import { valueTest, type ValueTest } from './value-test';
import { anyOf, quoted, shortened } from './words';

/** Of a connection without a head: that it lacks a header says nothing about it. */
const NO_HEAD_THERE = 'there is no head';

export class HeaderMatcher implements Matcher {
  readonly name: string;
  private readonly field: string;
  private readonly test: ValueTest;

  constructor(name: string, wanted: ValueMatch) {
    this.field = name.toLowerCase();
    this.name = `headers.${shortened(this.field)}`;
    this.test = valueTest(wanted);
  }

  matches(head: MatchedHead): boolean {
    return !head.isAbsent && this.test.fits(head.header(this.field));
  }

  failure(head: MatchedHead): string {
    if (head.isAbsent) return NO_HEAD_THERE;
    const value = head.header(this.field);
    return failureOf(value === undefined ? [] : [value], this.test);
  }
}

/** A condition on what may occur in a head several times under one name: any one of its values will do. */
abstract class RepeatableMatcher implements Matcher {
  readonly name: string;
  private readonly test: ValueTest;

  constructor(key: string, name: string, wanted: ValueMatch) {
    this.name = `${key}.${shortened(name)}`;
    this.test = valueTest(wanted);
  }

  protected abstract valuesIn(head: MatchedHead): readonly string[];

  matches(head: MatchedHead): boolean {
    if (head.isAbsent) return false;
    const values = this.valuesIn(head);
    if (values.length === 0) return this.test.fits(undefined);
    for (const value of values) {
      if (this.test.fits(value)) return true;
    }
    return false;
  }

  failure(head: MatchedHead): string {
    return head.isAbsent ? NO_HEAD_THERE : failureOf(this.valuesIn(head), this.test);
  }
}

export class QueryMatcher extends RepeatableMatcher {
  constructor(
    private readonly parameter: string,
    wanted: ValueMatch,
  ) {
    super('query', parameter, wanted);
  }

  protected valuesIn(head: MatchedHead): readonly string[] {
    return head.parameters.valuesOf(this.parameter);
  }
}

export class CookieMatcher extends RepeatableMatcher {
  constructor(
    private readonly cookie: string,
    wanted: ValueMatch,
  ) {
    super('cookie', cookie, wanted);
  }

  protected valuesIn(head: MatchedHead): readonly string[] {
    return head.cookies.valuesOf(this.cookie);
  }
}

function failureOf(values: readonly string[], { words }: ValueTest): string {
  return `is ${values.length === 0 ? 'absent' : anyOf(values, quoted)}, wanted ${words}`;
}
