import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FRONT_ADMIN_PORT, type Cluster } from '../../src/lab/cluster';
import { Asking, type Asked } from './asking';

const SCRIPT = join(__dirname, 'clients/moves.mjs');
const TIMEOUT_MS = 60_000;

interface Moved {
  readonly moved: number;
  readonly seconds: number;
}

export type AskedAndMoved = Asked & Moved;

export interface MovingOptions {
  readonly connections: number;
  readonly seconds: number;
  /** Moves; 0 for none. */
  readonly perSecond: number;
}

/**
 * Connections that ask every now and then while they move, each to any other backend, in turn. Of the cluster there are no other
 * flows.
 */
export async function asksAndMoves(
  cluster: Cluster,
  { connections, seconds, perSecond }: MovingOptions,
): Promise<AskedAndMoved> {
  const asking = await Asking.start(cluster.client, { count: connections, pauseMs: [100, 2000] });
  const flows = async (): Promise<string[]> =>
    (await cluster.frontApi<{ flows: { flow: string }[] }>('/v1/flows?limit=10000')).flows.map(
      ({ flow }) => flow,
    );
  let own: string[] = [];
  // Those from before may linger.
  await cluster.until('its flows alone', async () => (own = await flows()).length === connections);
  if (perSecond === 0) {
    await sleep(seconds * 1000);
    return { moved: 0, seconds, ...(await asking.stop()) };
  }
  const token = readFileSync(cluster.tokenFile, 'utf8').trim();
  const options = {
    port: FRONT_ADMIN_PORT,
    token,
    flows: own,
    count: seconds * perSecond,
    perSecond,
  };
  const argv = [process.execPath, SCRIPT, JSON.stringify(options)];
  const line = await cluster.frontHost.spawn(argv).waitForLine('"moved"', TIMEOUT_MS);
  return { ...(JSON.parse(line) as Moved), ...(await asking.stop()) };
}
