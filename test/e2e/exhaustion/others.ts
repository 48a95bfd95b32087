import type { Cluster } from '../../../src/lab/cluster';
import { SteadyLoad, unserved, type Outcomes } from '../faults/steady-load';

/** Connections per second of the clients that have nothing to do with the trouble. */
const RATE = 25;
/** Nobody waits as long as this; it only tells a hung connection from a slow one. */
const PATIENCE_MS = 30_000;

/** Starts the clients that must not notice what a suite does to others. */
export function startOthers(cluster: Cluster): Promise<SteadyLoad> {
  return SteadyLoad.start(cluster.client, { rate: RATE, patienceMs: PATIENCE_MS });
}

/** Ends them, and expects that each of their requests was answered right. Returns a sentence for the report. */
export async function expectServed(others: SteadyLoad): Promise<string> {
  const outcomes = await others.stop();
  const sentence = `others: ${latencyOf(outcomes)}, ${unserved(outcomes)}`;
  if (outcomes.started === 0 || outcomes.served < outcomes.started) throw new Error(sentence);
  return sentence;
}

function latencyOf({ served, started, p50, p99, max }: Outcomes): string {
  const ms = [p50, p99, max].map((value) => value.toFixed(1));
  return `${served} of ${started} served, p50 ${ms[0]} ms, p99 ${ms[1]} ms, max ${ms[2]} ms`;
}
