import { setTimeout as sleep } from 'node:timers/promises';
import type { Endpoint, HealthConfig } from '../config/model';
import { Probe, type ProbeResult } from './probe';

/**
 * Checks one backend actively, one check at a time, and says when it goes up or down.
 *
 * The first result decides alone, since a new front should neither wait to use its backends nor try dead ones.
 * Afterwards a change takes `rise` successes or `fall` failures in a row. `onChange` is called for the first result,
 * whichever it is, and for every change after it. A checker is started once; a stopped one stays stopped.
 */
export class HealthChecker {
  private readonly probe: Probe;
  private readonly stopping = new AbortController();
  private loop: Promise<void> | undefined;
  private decided = false;
  private isUp = false;
  private cause = 'not checked yet';
  /** Results in a row that contradict the current state. */
  private against = 0;

  constructor(
    target: Endpoint,
    private readonly health: HealthConfig,
    private readonly onChange: (up: boolean, cause: string) => void,
  ) {
    this.probe = new Probe(target, health);
  }

  /** False until the first check has succeeded. */
  get up(): boolean {
    return this.isUp;
  }

  /** One line about the latest check, a success or not: `GET /healthz: 503`, `timeout after 1000 ms`. */
  get lastCause(): string {
    return this.cause;
  }

  start(): void {
    this.loop ??= this.run();
  }

  /** Ends the check under way, if any; when it resolves, no timer and no socket is left and no call follows. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.loop;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    for (;;) {
      const next = performance.now() + withJitter(this.health);
      const result = await this.probe.run(signal);
      if (signal.aborted) return;
      this.record(result);
      await pauseUntil(next, signal);
    }
  }

  private record({ ok, cause }: ProbeResult): void {
    this.cause = cause;
    this.against = ok === this.isUp ? 0 : this.against + 1;
    const enough = this.against >= (ok ? this.health.rise : this.health.fall);
    if (this.decided && (ok === this.isUp || !enough)) return;
    this.decided = true;
    this.isUp = ok;
    this.against = 0;
    this.onChange(ok, cause);
  }
}

function withJitter({ interval, jitter }: HealthConfig): number {
  return interval * (1 + jitter * (2 * Math.random() - 1));
}

/** Waits without keeping the process alive; an abort ends the wait at once. */
async function pauseUntil(time: number, signal: AbortSignal): Promise<void> {
  const delay = Math.max(0, time - performance.now());
  await sleep(delay, undefined, { ref: false, signal }).catch(() => undefined);
}
