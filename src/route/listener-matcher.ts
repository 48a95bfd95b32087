import type { MatchedHead } from './matched-head';
import type { Matcher } from './matcher';
import { anyOf, word } from './words';

export class ListenerMatcher implements Matcher {
  readonly name = 'listener';
  private readonly listeners: ReadonlySet<string>;

  constructor(listeners: readonly string[]) {
    this.listeners = new Set(listeners);
  }

  matches(head: MatchedHead): boolean {
    return this.listeners.has(head.listener);
  }

  failure(head: MatchedHead): string {
    return `is ${word(head.listener)}, not ${anyOf([...this.listeners])}`;
  }
}
