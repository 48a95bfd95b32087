/** What fronts and agents do alike when they are started by the one before them. */
import type { Socket } from 'node:net';
import { PREDECESSOR, type Bequest } from './messages';

/** Who starts a successor writes its bequest at once. */
const BEQUEST_LIMIT_MS = 10_000;
/** As long as it takes to write a line to somebody who reads. */
const TELL_LIMIT_MS = 1000;

/**
 * Waits for the bequest, which `take` makes something of; what it throws goes to the predecessor too. Undefined where this process
 * was not started by one. The variable that says so is removed from `environment`.
 */
export async function meetPredecessor<P>(
  environment: NodeJS.ProcessEnv,
  take: (bequest: Bequest) => P,
): Promise<P | undefined> {
  const { [PREDECESSOR]: pid } = environment;
  Reflect.deleteProperty(environment, PREDECESSOR);
  if (pid !== String(process.ppid) || process.send === undefined) return undefined;
  const left = await bequest();
  try {
    return take(left);
  } catch (error) {
    await tellPredecessor({ type: 'failed', cause: (error as Error).message });
    throw error;
  }
}

/** @throws Error where the predecessor is one whose messages this process does not know. */
export function expectVersion(name: string, { version }: Bequest, known: number): void {
  if (version !== known)
    throw new Error(`the running ${name} speaks version ${version} of its bequest, not ${known}`);
}

/** Resolves when the message is on its way, or cannot be. */
export function tellPredecessor(message: object): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, TELL_LIMIT_MS);
    process.send?.(message, undefined, undefined, () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Calls back for each message behind the bequest, and at the end of the predecessor. */
export function hearPredecessor(
  heard: (message: { readonly type: string }, socket?: Socket) => void,
  gone: () => void,
): void {
  process.on('message', (message: { readonly type: string }, handle: unknown) => {
    if (message.type !== 'bequest') heard(message, handle as Socket | undefined);
  });
  process.once('disconnect', gone);
}

function bequest(): Promise<Bequest> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(
      () => reject(new Error(`the process before has left no bequest within ${BEQUEST_LIMIT_MS / 1000} s`)),
      BEQUEST_LIMIT_MS,
    );
    process.once('disconnect', () => reject(new Error('the process before is gone')));
    process.once('message', (message: Bequest) => {
      clearTimeout(limit);
      resolve(message);
    });
  });
}
