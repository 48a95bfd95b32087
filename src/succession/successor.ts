import { spawn, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { closerOf } from '../kernel/node-socket';
import { PREDECESSOR, type Bequest, type FailedStart } from './messages';

/** A start takes a second or two, and much longer where all CPUs are busy; a minute is no start any more. */
const START_LIMIT_MS = 60_000;
/** How long a message may take to leave: the successor reads it at once, unless it hangs. */
const TELL_LIMIT_MS = 1000;

/** The process that takes over from this one; `A` is what it answers when it can. */
export class Successor<A extends object> {
  /** Fails what is being passed: Node says nothing of that when the other end is gone. */
  readonly #passing = new Set<() => void>();

  private constructor(
    private readonly child: ChildProcess,
    readonly pid: number,
    readonly answer: A,
  ) {
    this.onEnd(() => {
      for (const fail of [...this.#passing]) fail();
    });
  }

  /**
   * Starts this program once more, with the same arguments and environment, and `descriptors` as its descriptors 3, 4, ...
   * Resolves with its answer to the bequest; rejects with an Error that says why it does not take over, and then it is gone.
   */
  static async start<A extends object>(
    descriptors: readonly number[],
    bequest: Bequest,
    aborted: AbortSignal,
  ): Promise<Successor<A>> {
    const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
      stdio: ['inherit', 'inherit', 'inherit', ...descriptors, 'ipc'],
      env: { ...process.env, [PREDECESSOR]: String(process.pid) },
    });
    try {
      const answer = answerOf<A>(child, START_LIMIT_MS, aborted);
      // A child that is not there says so by its error.
      if (child.connected) child.send(bequest, () => undefined);
      const answered = await answer;
      if (child.pid === undefined) throw new Error('has no process id');
      return new Successor(child, child.pid, answered);
    } catch (error) {
      // It serves nobody yet, so there is nothing to end gracefully.
      child.kill('SIGKILL');
      throw error;
    }
  }

  /** Resolves with what it says next; rejects as `start` does, but leaves it to the caller to end it. */
  next<M extends object>(limitMs: number, aborted: AbortSignal): Promise<M> {
    return answerOf(this.child, limitMs, aborted);
  }

  /** Calls back if it ends while this process is still here. */
  onEnd(ended: (how: string) => void): void {
    if (hasEnded(this.child)) ended(howEnded(this.child));
    else this.child.once('exit', () => ended(howEnded(this.child)));
  }

  get ended(): boolean {
    return hasEnded(this.child);
  }

  /** Ends it at once. */
  kill(): void {
    this.child.kill('SIGKILL');
  }

  /** Resolves when the message is on its way, or cannot be. */
  tell(message: object): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, TELL_LIMIT_MS);
      this.child.send(message, () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /**
   * Sends a connection along with a message, behind all messages before it; the Socket is the successor's from here on.
   * Resolves with whether the successor has got them; where it has ended, the Socket is closed.
   */
  pass(message: object, socket: Socket): Promise<boolean> {
    const close = closerOf(socket);
    return new Promise((resolve) => {
      const over = (got: boolean): void => {
        if (!this.#passing.delete(fail)) return;
        if (!got) {
          socket.destroy();
          close();
        }
        resolve(got);
      };
      const fail = (): void => over(false);
      this.#passing.add(fail);
      this.child.send(message, socket, (error) => over(error === null));
    });
  }
}

function answerOf<A extends object>(child: ChildProcess, limitMs: number, aborted: AbortSignal): Promise<A> {
  return new Promise<A>((resolve, reject) => {
    const fail = (cause: string): void => reject(new Error(cause));
    const ended = (): void => fail(howEnded(child));
    const limit = setTimeout(() => fail(`does not serve after ${limitMs / 1000} s`), limitMs);
    const stopped = (): void => fail('this process stops');
    aborted.addEventListener('abort', stopped);
    child.on('error', ({ message }) => fail(message));
    if (hasEnded(child)) ended();
    // Its last message may still be on the way then.
    child.once('exit', () => (child.connected ? child.once('disconnect', ended) : ended()));
    child.once('message', (message: object) => {
      if (isFailure(message)) fail(message.cause);
      else resolve(message as A);
      clearTimeout(limit);
      aborted.removeEventListener('abort', stopped);
    });
  });
}

function isFailure(message: object): message is FailedStart {
  return (message as Partial<FailedStart>).type === 'failed';
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

function howEnded({ exitCode, signalCode }: ChildProcess): string {
  return `has ended ${signalCode === null ? `with code ${String(exitCode)}` : `by ${signalCode}`}`;
}
