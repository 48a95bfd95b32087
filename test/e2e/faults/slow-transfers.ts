import { createHash } from 'node:crypto';
import type { Cluster } from '../../../src/lab/cluster';
import type { Result } from '../../../src/lab/execute';
import { VIP4 } from '../../../src/lab/topology';

/** One of these takes some five seconds, half of what a stopping program gives it. */
const BYTES = 5 * 2 ** 20;
const RATE = '1M';
const TIMEOUT_MS = 30_000;
/** Small buffers in the kernels: what the client has not read is the sending program's to keep, after its end too. */
const BUFFERS = '4096 32768 65536';

/** Slow readers of a client host, and slow senders, each with a checksum. */
export class SlowTransfers {
  private constructor(
    private readonly cluster: Cluster,
    private readonly direct: string,
  ) {}

  /** `origin` is where the application listens itself. */
  static async prepare(cluster: Cluster, origin: string): Promise<SlowTransfers> {
    const { client, frontHost, lab } = cluster;
    for (const host of [client, frontHost, ...lab.backends]) {
      await host.run(['sysctl', '-qw', `net.ipv4.tcp_rmem=${BUFFERS}`, `net.ipv4.tcp_wmem=${BUFFERS}`]);
    }
    const { stdout } = await download(cluster, origin, 'lab', '1G', '/bytes');
    return new SlowTransfers(cluster, stdout);
  }

  /**
   * Begins downloads, which resolve with the number of those that came through right. From `/whole` the application has
   * ended their responses long before they are read.
   */
  async downloads(count: number, host: string, path: '/bytes' | '/whole'): Promise<number> {
    const all = Array.from({ length: count }, () => download(this.cluster, VIP4, host, RATE, path));
    return (await Promise.all(all)).filter(({ stdout }) => stdout === this.direct).length;
  }

  /** Likewise uploads, each of a body that no other has. */
  async uploads(count: number, host: string): Promise<number> {
    const all = Array.from({ length: count }, (_, k) => upload(this.cluster, host, k));
    return (await Promise.all(all)).filter(Boolean).length;
  }
}

function download(
  cluster: Cluster,
  address: string,
  host: string,
  rate: string,
  path: string,
): Promise<Result> {
  const script = `curl -sS -H 'Host: ${host}' --limit-rate ${rate} 'http://${address}${path}?n=${BYTES}&seed=3' | sha256sum`;
  return cluster.client.run(['sh', '-c', script], { timeoutMs: TIMEOUT_MS });
}

async function upload(cluster: Cluster, host: string, k: number): Promise<boolean> {
  const text = `${k} of ${host} `.repeat(BYTES / 16);
  const url = `http://${VIP4}/sum`;
  const limits = ['--limit-rate', RATE, '-H', `Host: ${host}`, '-H', 'Expect:'];
  const { stdout } = await cluster.client.run(['curl', '-sS', ...limits, '--data-binary', '@-', url], {
    timeoutMs: TIMEOUT_MS,
    input: text,
  });
  return stdout.includes(createHash('sha256').update(text).digest('hex'));
}
