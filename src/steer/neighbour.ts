import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The kernel asks a neighbour three times, a second apart, before it says that there is none (mcast_solicit). */
const ANSWER_MS = 4500;
const POLL_MS = 250;

interface Neighbour {
  readonly dev: string;
  readonly state?: readonly string[];
}

/**
 * Whether a neighbour answers ARP or neighbour discovery now; false where that cannot be found out (a permanent entry, a
 * link without either). For rare questions: it runs `ip` and takes up to five seconds.
 */
export async function neighbourAnswers(address: string): Promise<boolean> {
  const entry = await look(address);
  if (entry === undefined || !isDynamic(entry)) return false;
  // What the kernel believes may be a minute old: this makes it ask.
  await ip(['neigh', 'change', address, 'dev', entry.dev, 'nud', 'probe']);
  const deadline = performance.now() + ANSWER_MS;
  while (performance.now() < deadline) {
    const state = (await look(address))?.state ?? [];
    if (state.includes('REACHABLE')) return true;
    if (!state.includes('PROBE')) return false;
    await sleep(POLL_MS, undefined, { ref: false });
  }
  return false;
}

/** Known with a link-layer address that the kernel has learnt, and may ask for again. */
function isDynamic({ state = [] }: Neighbour): boolean {
  return ['REACHABLE', 'STALE', 'DELAY', 'PROBE'].some((known) => state.includes(known));
}

async function look(address: string): Promise<Neighbour | undefined> {
  const output = await ip(['-json', 'neigh', 'show', 'to', address]);
  return output === '' ? undefined : (JSON.parse(output) as Neighbour[])[0];
}

/** What `ip` prints, or nothing where it fails: the answer is then that nobody is known to be there. */
async function ip(args: readonly string[]): Promise<string> {
  try {
    return (await run('ip', args)).stdout.trim();
  } catch {
    return '';
  }
}
