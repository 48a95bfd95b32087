import type { ValueMatch } from './match';
import { Pattern } from './pattern';
import { quoted, shortened } from './words';

/** What a value is held against. */
export interface ValueTest {
  /** Undefined: there is no value. */
  fits(value: string | undefined): boolean;
  /** What it wants, behind the word 'wanted'. */
  readonly words: string;
}

export function valueTest(wanted: ValueMatch): ValueTest {
  if (typeof wanted === 'string') return new ExactTest(wanted);
  return 'regex' in wanted ? new PatternTest(wanted.regex) : new PresenceTest(wanted.present);
}

class ExactTest implements ValueTest {
  constructor(private readonly wanted: string) {}

  fits(value: string | undefined): boolean {
    return value === this.wanted;
  }

  get words(): string {
    return quoted(this.wanted);
  }
}

class PatternTest implements ValueTest {
  private readonly pattern: Pattern;

  constructor(text: string) {
    this.pattern = new Pattern(text);
  }

  fits(value: string | undefined): boolean {
    return value !== undefined && this.pattern.fits(value);
  }

  get words(): string {
    return `a match of ${shortened(this.pattern.text)}`;
  }
}

class PresenceTest implements ValueTest {
  constructor(private readonly present: boolean) {}

  fits(value: string | undefined): boolean {
    return (value !== undefined) === this.present;
  }

  get words(): string {
    return this.present ? 'any value' : 'none';
  }
}
