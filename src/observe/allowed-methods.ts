/**
 * Remembers which methods each route pattern has, to tell "no such resource" (404) from "not with this method"
 * (405, RFC 9110 section 15.5.6). Patterns are literal segments and `:name` segments.
 */
export class AllowedMethods {
  private readonly patterns = new Map<string, Set<string>>();

  add(pattern: string, methods: string | readonly string[]): void {
    const known = this.patterns.get(pattern) ?? new Set();
    for (const method of [methods].flat()) known.add(method);
    this.patterns.set(pattern, known);
  }

  /** The methods that a path (without query) answers to, sorted; empty when nothing is there. */
  of(path: string): string[] {
    const methods = new Set<string>();
    for (const [pattern, known] of this.patterns) {
      if (matches(pattern, path)) for (const method of known) methods.add(method);
    }
    return [...methods].sort();
  }
}

function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split('/');
  const given = path.split('/');
  if (wanted.length !== given.length) return false;
  return wanted.every((segment, index) =>
    segment.startsWith(':') ? given[index] !== '' : segment === given[index],
  );
}
