import type { Cluster } from '../../lab/cluster';

/** Something that the demo says about Baton, measured in this very run. */
export interface Claim {
  readonly name: string;
  readonly ok: boolean;
  /** What was measured, for people: the first line stands beside the name. Up to 58 characters fit a terminal. */
  readonly lines: readonly string[];
  /** What was measured, for machines: becomes part of the JSON report. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** Claims that are measured together. */
export interface Step {
  /** The name of the claim that fails when the step cannot be carried out. */
  readonly name: string;
  /** Shown while it is running. */
  readonly progress: string;
  readonly measure: (cluster: Cluster) => Promise<Claim[]>;
}

/** A step that breaks off is a failed claim; the first line of the reason says enough in a report. */
export async function carryOut(step: Step, cluster: Cluster): Promise<Claim[]> {
  try {
    return await step.measure(cluster);
  } catch (error) {
    const [cause = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    return [{ name: step.name, ok: false, lines: [`broke off: ${cause}`], facts: {} }];
  }
}
