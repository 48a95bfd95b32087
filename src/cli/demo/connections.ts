import { join } from 'node:path';
import type { Cluster } from '../../lab/cluster';
import type { Claim } from './claim';
import type { ConnectionCounts } from './client-connections';
import { handoffTimes } from './handoff-times';

/** Enough for a 99th percentile that is not one outlier. */
const CONNECTIONS = 400;
const PROGRAM = join(__dirname, 'client-connections.js');
const TIMEOUT_MS = 20_000;

/** Short connections from all of the client's addresses, in turn. */
export async function connectMany(cluster: Cluster, count: number): Promise<ConnectionCounts> {
  const { client, lab } = cluster;
  const sources = [
    ...client.addresses4.map((address) => `${address}=http://${lab.vip4}/`),
    `${client.address6}=http://[${lab.vip6}]/`,
  ];
  const argv = [process.execPath, PROGRAM, String(count), ...sources];
  const { code, stdout, stderr } = await client.run(argv, { timeoutMs: TIMEOUT_MS });
  if (code !== 0) throw new Error(`make connections: exit ${code}: ${stderr}`);
  return JSON.parse(stdout) as ConnectionCounts;
}

/** The app sees the clients' own addresses, and every connection so far was handed off. */
export async function connections(cluster: Cluster): Promise<Claim[]> {
  const counts = await connectMany(cluster, CONNECTIONS);
  return [clientAddress(cluster, counts), await handoff(cluster)];
}

function clientAddress(cluster: Cluster, counts: ConnectionCounts): Claim {
  const { client } = cluster;
  const addresses = [...client.addresses4, client.address6];
  const example = `${client.address4} .. ${client.addresses4.at(-1) ?? ''}, ${client.address6}`;
  const lines = [
    `the app saw the client's own on ${counts.own_address} of ${counts.asked} connections`,
    `from ${addresses.length} addresses: ${example}`,
  ];
  if (counts.trouble !== undefined) lines.push(counts.trouble);
  const facts = {
    client_address: { connections: counts.asked, own: counts.own_address, addresses: addresses.length },
  };
  return { name: 'client address', ok: counts.own_address === counts.asked, lines, facts };
}

async function handoff(cluster: Cluster): Promise<Claim> {
  const accepted = await cluster.frontMetric('baton_connections_accepted_total');
  const handedOff = await cluster.frontMetric('baton_handoffs_total', { result: 'ok' });
  const { count, p50, p99 } = await handoffTimes(cluster);
  const lines = [
    `${handedOff} of ${accepted} connections: p50 ${milliseconds(p50)}, p99 ${milliseconds(p99)}`,
    'from the complete request head to the release',
  ];
  return {
    name: 'handoff',
    // The histogram and the counters are kept apart: they have to agree.
    ok: accepted >= CONNECTIONS && handedOff === accepted && count === accepted,
    lines,
    facts: { handoff: { accepted, count, p50_seconds: p50, p99_seconds: p99 } },
  };
}

function milliseconds(seconds: number): string {
  return Number.isNaN(seconds) ? 'unknown' : `${(seconds * 1_000).toFixed(2)} ms`;
}
