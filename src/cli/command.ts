/** Exit codes of every command. */
export const EXIT_DONE = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

/** What they mean, for the reference. */
export const EXIT_CODES = [
  { code: EXIT_DONE, meaning: 'Done; of a front or an agent: it was told to stop, and has.' },
  { code: EXIT_FAILED, meaning: 'Failed, or a configuration has problems; what and why has been said.' },
  { code: EXIT_USAGE, meaning: 'Bad usage.' },
] as const;

export interface Output {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

/** A command gets the arguments behind its name and answers with an exit code; it throws for an Error worth a line. */
export type Command = (args: string[], output: Output) => Promise<number>;

/** The FILE of `--config FILE` (or `--config=FILE`), or undefined when the arguments are anything else. */
export function configArgument(args: readonly string[]): string | undefined {
  const [first = '', second] = args;
  if (args.length === 2 && first === '--config' && second !== '') return second;
  return args.length === 1 && first.startsWith('--config=') ? first.slice('--config='.length) : undefined;
}
