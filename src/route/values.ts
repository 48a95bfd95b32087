const NONE: readonly string[] = [];

/** Values by name, several of one name in their order. */
export class Values {
  private readonly byName = new Map<string, string[]>();

  constructor(pairs: Iterable<readonly [name: string, value: string]>) {
    for (const [name, value] of pairs) {
      const known = this.byName.get(name);
      if (known === undefined) this.byName.set(name, [value]);
      else known.push(value);
    }
  }

  valuesOf(name: string): readonly string[] {
    return this.byName.get(name) ?? NONE;
  }
}
