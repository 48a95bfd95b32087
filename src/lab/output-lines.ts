export type LinePredicate = string | RegExp | ((line: string) => boolean);

/** Lines that are kept; older ones go. */
const MAX_LINES = 10_000;
/** Lines that an error quotes. */
const QUOTED = 50;

/** The lines that a process, or several in turn, have written to their outputs. */
export class OutputLines {
  private readonly kept: string[] = [];
  private readonly listeners = new Set<(line: string) => void>();

  /** The latest ones in the order of their arrival. */
  get latest(): readonly string[] {
    return this.kept;
  }

  take(lines: readonly string[]): void {
    for (const line of lines) {
      this.kept.push(line);
      for (const listener of this.listeners) listener(line);
    }
    this.kept.splice(0, this.kept.length - MAX_LINES);
  }

  /**
   * Resolves with the first line, past or future, that contains the string, matches the expression or satisfies the
   * function, and is `mine`. Rejects after `timeoutMs`, or at once when `ended` says how the process ended without it, with
   * `name` and the end of the output.
   */
  waitFor(
    predicate: LinePredicate,
    timeoutMs: number,
    ended: Promise<string>,
    name: string,
    mine: (line: string) => boolean = () => true,
  ): Promise<string> {
    const matches = (line: string): boolean => mine(line) && matcher(predicate)(line);
    const past = this.kept.find(matches);
    if (past !== undefined) return Promise.resolve(past);
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.listeners.delete(listener);
      };
      const fail = (reason: string): void => {
        settle();
        const tail = this.kept.slice(-QUOTED).join('\n');
        reject(new Error(`wait for ${String(predicate)} of ${name}: ${reason}\n${tail}`));
      };
      const listener = (line: string): void => {
        if (!matches(line)) return;
        settle();
        resolve(line);
      };
      const timer = setTimeout(() => fail(`not seen within ${timeoutMs} ms`), timeoutMs);
      this.listeners.add(listener);
      void ended.then(fail);
    });
  }
}

function matcher(predicate: LinePredicate): (line: string) => boolean {
  if (typeof predicate === 'function') return predicate;
  if (typeof predicate === 'string') return (line) => line.includes(predicate);
  // Unlike `test`, `search` keeps no position between calls when the expression is global.
  return (line) => line.search(predicate) !== -1;
}
