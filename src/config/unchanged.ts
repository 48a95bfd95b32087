/** What a running program cannot change, said when it reloads its configuration; throws an Error that names the key. */
export function mustNotChange(key: string, before: unknown, after: unknown): void {
  if (JSON.stringify(before) !== JSON.stringify(after))
    throw new Error(`${key} has changed: that needs a restart`);
}
