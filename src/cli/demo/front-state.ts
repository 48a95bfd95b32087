/** What the demo asks the front, or its host, about its state. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../../lab/cluster';

/** The demo's flows are some hundred at most: those of the last moments. */
const FLOWS_LISTED = 10_000;
/** Above the linger of the lab's fronts (0.5 s) and the time in which an agent lists its connections. */
const FLOWS_GONE_MS = 5_000;
const POLL_MS = 50;

/** Octets of responses that went through the front's user space since it started. */
export async function relayedBytes(cluster: Cluster): Promise<number> {
  return (await cluster.frontApi<{ relayed_bytes: number }>('/v1/status')).relayed_bytes;
}

/** The flow table: client's address and port -> id of the handoff. */
export async function handoffsByClient(cluster: Cluster): Promise<Map<string, string>> {
  const path = `/v1/flows?limit=${FLOWS_LISTED}`;
  const { flows } = await cluster.frontApi<{ flows: { flow: string; handoff: string }[] }>(path);
  return new Map(flows.map(({ flow, handoff }) => [flow.slice(0, flow.indexOf('>')), handoff]));
}

/** Waits until no flow of such clients is in the table; false when some stay. */
export async function flowsGone(cluster: Cluster, concerned: (client: string) => boolean): Promise<boolean> {
  const deadline = performance.now() + FLOWS_GONE_MS;
  while ([...(await handoffsByClient(cluster)).keys()].some(concerned)) {
    if (performance.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

/** Bytes that the front's host has sent on its link so far, by user space and by the steering program together. */
export async function bytesSent(cluster: Cluster): Promise<number> {
  const { stdout } = await cluster.frontHost.run(['ip', '-j', '-s', 'link', 'show', 'dev', 'eth0']);
  const [link] = JSON.parse(stdout) as { stats64: { tx: { bytes: number } } }[];
  if (link === undefined) throw new Error('count bytes of the front: eth0 is gone');
  return link.stats64.tx.bytes;
}
