import { readdirSync } from 'node:fs';
import type { Cluster } from '../../../src/lab/cluster';
import type { LabProgram } from '../../../src/lab/lab-process';

/** Relayed connections leave one kept alive to the origin for four seconds, flows linger for half a second. */
const SETTLE_MS = 8_000;

interface FrontStatus {
  readonly connections: number;
  readonly offers: number;
  readonly releasing_sockets: number;
}

interface AgentStatus {
  readonly connections: number;
  readonly prepared: number;
}

export function descriptorsOf({ pid }: LabProgram): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Entries of the flow table, counted now: the sum in /v1/status may be a second old. */
export async function flowsOf(cluster: Cluster): Promise<number> {
  return (await cluster.frontApi<{ total: number }>('/v1/flows?limit=1')).total;
}

/** What the programs hold of connections, all of which should come to nothing; agents that are down do not count. */
export async function remains(cluster: Cluster, agents: readonly number[]): Promise<Record<string, number>> {
  const front = await cluster.frontApi<FrontStatus>('/v1/status');
  const all = await Promise.all(agents.map((k) => cluster.agentApi<AgentStatus>(k, '/v1/status')));
  return {
    connections: front.connections,
    offers: front.offers,
    releasing: front.releasing_sockets,
    flows: await flowsOf(cluster),
    adopted: all.reduce((sum, { connections }) => sum + connections, 0),
    prepared: all.reduce((sum, { prepared }) => sum + prepared, 0),
  };
}

/** Waits until no program holds anything of any connection, and the front has no more descriptors than before. */
export async function untilNothingLeft(
  cluster: Cluster,
  descriptors: number,
  agents: readonly number[] = cluster.agents.map((_, index) => index + 1),
): Promise<void> {
  let last = '';
  try {
    await cluster.until(
      'nothing left',
      async () => {
        const found = { ...(await remains(cluster, agents)), descriptors: descriptorsOf(cluster.front) };
        last = JSON.stringify(found);
        const { descriptors: now, ...counts } = found;
        return now <= descriptors && Object.values(counts).every((count) => count === 0);
      },
      SETTLE_MS,
    );
  } catch (error) {
    throw new Error(`left behind: ${last}, ${descriptors} descriptors before`, { cause: error });
  }
}
