/** Something that the demo says about Baton, measured in this very run. */
export interface Claim {
  readonly name: string;
  readonly ok: boolean;
  /** What was measured, for people; the first line stands beside the name. */
  readonly lines: readonly string[];
  /** What was measured, for machines: becomes part of the JSON report. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** One or more claims that are measured together. */
export interface Step {
  /** What it is about, also the name of the claim that fails when the step cannot be carried out. */
  readonly name: string;
  /** Shown while it is running. */
  readonly progress: string;
}

/** A step that broke off is a failed claim; the first line of the reason says enough in a report. */
export function brokenOff(name: string, error: unknown): Claim {
  const message = error instanceof Error ? error.message : String(error);
  const [cause = ''] = message.split('\n');
  return { name, ok: false, lines: [`broke off: ${cause}`], facts: { error: message } };
}
