import { readFileSync } from 'node:fs';
import { STOP_GRACE_MS, type Exit, type LabProgram } from './lab-process';
import type { LinePredicate, OutputLines } from './output-lines';

/** How often it is looked whether the process is still there. */
const POLL_MS = 20;

/**
 * A process that another one of the lab has started to take over from it: no child of ours, and it writes where the other
 * one wrote. Its lines are those of its log, which have its pid.
 */
export class LabSuccessor implements LabProgram {
  /** How it ended only its parent hears, so both fields are null. */
  readonly exited: Promise<Exit>;
  /** A pid may be used again: the time of its start tells. */
  private readonly startedAt: string | undefined;

  constructor(
    readonly pid: number,
    readonly output: OutputLines,
  ) {
    this.startedAt = startOf(pid);
    this.exited = this.whenExited();
  }

  get lines(): readonly string[] {
    return this.output.latest.filter(this.isOwn);
  }

  waitForLine(predicate: LinePredicate, timeoutMs: number): Promise<string> {
    const ended = this.exited.then(() => 'the process has ended');
    return this.output.waitFor(predicate, timeoutMs, ended, `process ${this.pid}`, this.isOwn);
  }

  kill(signal: NodeJS.Signals): boolean {
    return this.runs && process.kill(this.pid, signal);
  }

  async stop(): Promise<Exit> {
    this.kill('SIGTERM');
    this.kill('SIGCONT');
    const timer = setTimeout(() => this.kill('SIGKILL'), STOP_GRACE_MS);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  private readonly isOwn = (line: string): boolean => line.includes(`"pid":${this.pid},`);

  private get runs(): boolean {
    return this.startedAt !== undefined && startOf(this.pid) === this.startedAt;
  }

  private whenExited(): Promise<Exit> {
    return new Promise((resolve) => {
      const timer = setInterval(() => {
        if (this.runs) return;
        clearInterval(timer);
        resolve({ code: null, signal: null });
      }, POLL_MS);
    });
  }
}

/** Field 22 of /proc/PID/stat (proc_pid_stat(5)); undefined where the process has ended, whether reaped (field 3) or not. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
