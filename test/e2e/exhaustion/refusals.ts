import type { Host } from '../../../src/lab/host';
import type { LabProcess, LabProgram } from '../../../src/lab/lab-process';

const ATTACH_TIMEOUT_MS = 10_000;

/**
 * A kernel that refuses a program something, for a while: strace(1) answers a system call of all of its threads with an error, as
 * the kernel does when it has no memory. How short memory itself would have to be differs from host to host, and everything
 * else there would be short of it too.
 */
export class Refusals {
  private constructor(private readonly tracer: LabProcess) {}

  /** Returns when the kernel refuses. */
  static async begin(host: Host, { pid }: LabProgram, call: string, error: string): Promise<Refusals> {
    const which = ['-e', `trace=${call}`, '-e', `inject=${call}:error=${error}`];
    const tracer = host.spawn(['strace', '-f', '-p', String(pid), ...which]);
    await tracer.waitForLine(/Process \d+ attached/, ATTACH_TIMEOUT_MS);
    return new Refusals(tracer);
  }

  /** Lets the program go on as before, and returns how often it was refused. */
  async end(): Promise<number> {
    this.tracer.kill('SIGINT');
    await this.tracer.exited;
    return this.tracer.stderrText.split('(INJECTED)').length - 1;
  }
}
