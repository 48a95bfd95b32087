/**
 * A program for the client's namespace: makes many short connections and counts what the app says about them.
 *
 *     node client-connections.js COUNT ADDRESS=URL...      from each ADDRESS in turn to its URL
 */
import { get } from 'node:http';

/** What the program prints, as JSON. */
export interface ConnectionCounts {
  asked: number;
  answered: number;
  /** Answers in which the app named the very address that the connection came from. */
  own_address: number;
  /** The first connection without a good answer. */
  trouble?: string;
}

/** Few: client, front and backends share this machine's cores, and waiting for one would count as time of a handoff. */
const CONCURRENCY = 2;
const TIMEOUT_MS = 5_000;

const [count = '', ...pairs] = process.argv.slice(2);
const sources = pairs.map((pair) => {
  const at = pair.indexOf('=');
  return { address: pair.slice(0, at), url: pair.slice(at + 1) };
});

/** The address that the app saw on one connection of its own. */
function seenAddress(address: string, url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { localAddress: address, agent: false, timeout: TIMEOUT_MS } as const;
    const request = get(url, options, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (piece: string) => (body += piece));
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve((JSON.parse(body) as { client: string }).client);
        else reject(new Error(`status ${String(response.statusCode)}`));
      });
    });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    request.on('error', reject);
  });
}

async function run(): Promise<ConnectionCounts> {
  const counts: ConnectionCounts = { asked: Number(count), answered: 0, own_address: 0 };
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < counts.asked) {
      const { address, url } = sources[next++ % sources.length] ?? { address: '', url: '' };
      try {
        const seen = await seenAddress(address, url);
        counts.answered += 1;
        if (seen === address) counts.own_address += 1;
        else counts.trouble ??= `from ${address}: the app saw ${seen}`;
      } catch (error) {
        counts.trouble ??= `from ${address} to ${url}: ${(error as Error).message}`;
      }
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
  return counts;
}

void run().then((counts) => process.stdout.write(JSON.stringify(counts)));
