/** What a client asks of a cluster's hosts NAME.test, whoever serves them. */
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '../../src/lab/cluster';
import { VIP4 } from '../../src/lab/topology';
import { curl, inUrl, report, runClient } from './support';

const UPLOAD_BYTES = 8 * 1024 * 1024;
const MESSAGES = 1_000;

/** A request as the application saw it. */
export interface Who {
  readonly node: string;
  readonly client: string;
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What clients/websocket.mjs reports. */
export interface Echoes {
  readonly first: Who;
  readonly messages: number;
  readonly bytes: number;
  /** Of the closing handshake. */
  readonly code: number;
}

/** Requests with curl, on one connection as far as that stays open; one answer per path. */
export async function ask(
  cluster: Cluster,
  host: string,
  paths: readonly string[],
  vip: string = VIP4,
  port = 80,
): Promise<Who[]> {
  const urls = paths.map((path) => `http://${host}:${port}${path}`);
  const args = ['-m', '5', '--resolve', `${host}:${port}:${inUrl(vip)}`, '-w', '\n', ...urls];
  const lines = (await curl(cluster.client, args)).trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Who);
}

/** Uploads random bytes the way that the curl arguments say, and expects the server's checksum to be right. */
export async function expectRightSum(
  cluster: Cluster,
  host: string,
  args: (file: string) => readonly string[],
): Promise<void> {
  const data = randomBytes(UPLOAD_BYTES);
  const file = join(cluster.lab.dir, 'upload.bin');
  writeFileSync(file, data);
  const target = ['-m', '20', '--resolve', `${host}:80:${VIP4}`, `http://${host}/sum`];
  const answer = await curl(cluster.client, [...args(file), ...target], 30_000);
  const sha256 = createHash('sha256').update(data).digest('hex');
  expect(JSON.parse(answer)).toMatchObject({ bytes: UPLOAD_BYTES, sha256 });
}

/** Sends messages through a WebSocket and expects every one back. */
export async function expectEchoes(cluster: Cluster, host: string): Promise<Echoes> {
  const options = { address: VIP4, host, count: MESSAGES };
  const result = await runClient<Echoes>(cluster.client, 'websocket.mjs', options);
  report(`${host}: ${result.messages} WebSocket messages echoed, ${result.bytes} bytes`);
  expect(result).toMatchObject({ messages: MESSAGES, code: 1000 });
  return result;
}
