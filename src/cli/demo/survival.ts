import type { Cluster } from '../../lab/cluster';
import type { Claim } from './claim';
import { connectMany } from './connections';
import { directChecksum, Download, DOWNLOAD_BYTES, MIB } from './download';
import { bytesSent, flowsGone, handoffsByClient, relayedBytes } from './front-state';

/** The front dies when the client has this much of the file. */
const KILL_AT = 96 * MIB;
/** So much has to arrive without a front: more than can wait in the client's receive buffer (tcp_rmem, up to 32 MiB). */
const WITHOUT_FRONT = 64 * MIB;
const NEW_CONNECTIONS = 40;
/** What a client sends passes through the front's kernel: ACKs, a small part of what it receives. */
const MOST_PASSED_ON = 0.05;

/** What was seen of a front's death, from the download's side and from the flow table's. */
interface Observed {
  readonly expected: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly seconds: number;
  readonly killedAt: number;
  readonly withoutFront: number;
  readonly restartSeconds: number;
  readonly kept: boolean;
  readonly removed: boolean;
}

/** A download outlives the front that handed it off, and the next front goes on where the dead one stopped. */
export async function survival(cluster: Cluster): Promise<Claim[]> {
  const expected = await directChecksum(cluster);
  const sent = await bytesSent(cluster);
  const [download, abandoned] = await Promise.all([Download.start(cluster), Download.start(cluster)]);
  await download.reaches(KILL_AT);
  const relayed = await relayedBytes(cluster);
  const handoff = (await handoffsByClient(cluster)).get(download.client);

  cluster.front.kill('SIGKILL');
  await cluster.front.exited;
  const killedAt = download.received;
  download.frontIsDead();
  await abandoned.abandon();
  await download.reaches(killedAt + WITHOUT_FRONT);
  const withoutFront = download.received - killedAt;

  const restartSeconds = await restartFront(cluster);
  const removed = await flowsGone(cluster, (client) => client === abandoned.client);
  const kept = handoff !== undefined && (await handoffsByClient(cluster)).get(download.client) === handoff;
  const observed = {
    ...{ expected, killedAt, withoutFront, restartSeconds, removed, kept },
    ...(await download.finish()),
  };
  const passedOn = (await bytesSent(cluster)) - sent;
  return [
    downloadClaim(observed),
    await newFrontClaim(cluster, observed),
    relayedClaim(relayed + (await relayedBytes(cluster)), passedOn, observed.bytes),
  ];
}

async function restartFront(cluster: Cluster): Promise<number> {
  const begin = performance.now();
  await cluster.startFront();
  await cluster.allUp();
  return (performance.now() - begin) / 1_000;
}

function downloadClaim({ expected, bytes, sha256, seconds, killedAt, withoutFront }: Observed): Claim {
  const right = sha256 === expected;
  return {
    name: 'download',
    ok: right && bytes === DOWNLOAD_BYTES && killedAt + withoutFront < bytes,
    lines: [
      `${mib(bytes)} in ${seconds.toFixed(1)} s, SHA-256 ${right ? 'right' : 'WRONG'}`,
      `front killed with SIGKILL at ${mib(killedAt)};`,
      `${mib(withoutFront)} came before there was a front again`,
    ],
    facts: {
      download: {
        bytes,
        sha256_ok: right,
        front_killed_at_bytes: killedAt,
        bytes_without_front: withoutFront,
        seconds,
      },
    },
  };
}

async function newFrontClaim(cluster: Cluster, { kept, removed, restartSeconds }: Observed): Promise<Claim> {
  const { asked, own_address: served } = await connectMany(cluster, NEW_CONNECTIONS);
  const handedOff = await cluster.frontMetric('baton_handoffs_total', { result: 'ok' });
  const cleared = await flowsGone(cluster, () => true);
  return {
    name: 'new front',
    ok: kept && removed && cleared && served === asked && handedOff === asked,
    lines: [
      `ready after ${restartSeconds.toFixed(1)} s, handed off ${handedOff} of ${asked} new connections`,
      `${kept ? 'took over' : 'LOST'} the live flow, ${removed ? 'removed' : 'KEPT'} one that ended meanwhile`,
      `its flow table is ${cleared ? 'empty' : 'NOT empty'} now that all are closed`,
    ],
    facts: {
      new_front: {
        seconds: restartSeconds,
        live_flow_kept: kept,
        ended_flow_removed: removed,
        table_empty_at_end: cleared,
        connections: asked,
        served,
        handed_off: handedOff,
      },
    },
  };
}

function relayedClaim(relayed: number, passedOn: number, received: number): Claim {
  const share = passedOn / received;
  return {
    name: 'relayed',
    ok: relayed === 0 && share < MOST_PASSED_ON,
    lines: [
      `${relayed} bytes in the front's user space`,
      `its link sent ${mib(passedOn, 1)}, ${(share * 100).toFixed(1)} % of the download: ACKs`,
    ],
    facts: { relayed_bytes: relayed, front_link_sent_bytes: passedOn },
  };
}

function mib(bytes: number, digits = 0): string {
  return `${(bytes / MIB).toFixed(digits)} MiB`;
}
