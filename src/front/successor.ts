import { spawn, type ChildProcess } from 'node:child_process';
import { PREDECESSOR, type Bequest, type ToPredecessor, type ToSuccessor } from './succession-messages';

/** A start takes a second or two, and much longer where all CPUs are busy; a minute is no start any more. */
const START_LIMIT_MS = 60_000;
/** How long a message may take to leave: the successor reads it at once, unless it hangs. */
const TELL_LIMIT_MS = 1000;

/** The process that takes over from this front. */
export class Successor {
  private constructor(
    private readonly child: ChildProcess,
    readonly pid: number,
    /** Where it accepts connections from sockets of this front. */
    readonly addresses: ReadonlySet<string>,
  ) {}

  /**
   * Starts this program once more, with the same arguments and environment, and `descriptors` as its descriptors 3, 4, ...
   * Resolves when it accepts connections; rejects with an Error that says why it does not, and then it is gone.
   */
  static async start(
    descriptors: readonly number[],
    bequest: Bequest,
    aborted: AbortSignal,
  ): Promise<Successor> {
    const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
      stdio: ['inherit', 'inherit', 'inherit', ...descriptors, 'ipc'],
      env: { ...process.env, [PREDECESSOR]: String(process.pid) },
    });
    try {
      const { addresses } = await outcome(child, bequest, aborted);
      if (child.pid === undefined) throw new Error('has no process id');
      return new Successor(child, child.pid, new Set(addresses));
    } catch (error) {
      // It accepts nothing yet, so there is nothing to end gracefully.
      child.kill('SIGKILL');
      throw error;
    }
  }

  /** Calls back if it ends while this front is still here. */
  onEnd(ended: (how: string) => void): void {
    if (this.child.exitCode !== null || this.child.signalCode !== null) ended(howEnded(this.child));
    else this.child.once('exit', () => ended(howEnded(this.child)));
  }

  /** Resolves when the message is on its way, or cannot be. */
  tell(message: ToSuccessor): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, TELL_LIMIT_MS);
      this.child.send(message, () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

type Serving = Extract<ToPredecessor, { type: 'serving' }>;

function outcome(child: ChildProcess, bequest: Bequest, aborted: AbortSignal): Promise<Serving> {
  return new Promise((resolve, reject) => {
    const fail = (cause: string): void => reject(new Error(cause));
    const ended = (): void => fail(howEnded(child));
    const limit = setTimeout(() => fail(`does not serve after ${START_LIMIT_MS / 1000} s`), START_LIMIT_MS);
    const stopped = (): void => fail('this front stops');
    aborted.addEventListener('abort', stopped);
    child.on('error', ({ message }) => fail(message));
    // Its last message may still be on the way then.
    child.on('exit', () => (child.connected ? child.once('disconnect', ended) : ended()));
    child.on('message', (message: ToPredecessor) => {
      if (message.type === 'failed') fail(message.cause);
      else resolve(message);
      clearTimeout(limit);
      aborted.removeEventListener('abort', stopped);
    });
    // A child that is not there says so by its error.
    if (child.connected) child.send(bequest, () => undefined);
  });
}

function howEnded({ exitCode, signalCode }: ChildProcess): string {
  return `has ended ${signalCode === null ? `with code ${String(exitCode)}` : `by ${signalCode}`}`;
}
