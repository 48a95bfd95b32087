import type { OutlierConfig } from '../config/model';

/** What a backend is ejected for: values of the label `cause` of ejections_total. */
export const EJECTION_CAUSES = ['errors', 'latency', 'failures'] as const;
export type EjectionCause = (typeof EJECTION_CAUSES)[number];

/** Why a backend should get no connections for a while. */
export interface Finding {
  readonly cause: EjectionCause;
  /** One short line with the numbers. */
  readonly detail: string;
}

export interface Ejection {
  readonly finding: Finding;
  /** On the clock of `Ejections`. */
  readonly until: number;
}

/** What the next generation, or a successor, has to know; JSON, times in milliseconds. */
export interface KnownEjections {
  readonly steps: number;
  readonly current?: { readonly finding: Finding; readonly leftMs: number };
  /** Since the last one ended. */
  readonly calmMs: number;
}

/**
 * The ejections of one backend. The nth lasts `eject` times n, at most `max_eject`; each `max_eject` without one takes one
 * off n.
 */
export class Ejections {
  #steps: number;
  #current: Ejection | undefined;
  #calmSince: number;

  constructor(
    private readonly config: Pick<OutlierConfig, 'eject' | 'max_eject'>,
    known: KnownEjections | undefined,
    private readonly now: () => number = () => performance.now(),
  ) {
    const { steps = 0, current, calmMs = 0 } = known ?? {};
    this.#steps = Math.min(steps, this.#mostSteps);
    this.#calmSince = now() - calmMs;
    if (current === undefined) return;
    this.#current = {
      finding: current.finding,
      until: now() + Math.min(current.leftMs, config.max_eject),
    };
  }

  get current(): Ejection | undefined {
    return this.#current;
  }

  /** Until the current one is over; 0 where there is none. */
  get leftMs(): number {
    return this.#current === undefined ? 0 : Math.max(0, this.#current.until - this.now());
  }

  /** What n is at present. */
  get steps(): number {
    if (this.#current !== undefined) return this.#steps;
    const calm = Math.floor((this.now() - this.#calmSince) / this.config.max_eject);
    return Math.max(0, this.#steps - calm);
  }

  begin(finding: Finding): Ejection {
    this.#steps = Math.min(this.steps + 1, this.#mostSteps);
    const { eject, max_eject } = this.config;
    this.#current = { finding, until: this.now() + Math.min(eject * this.#steps, max_eject) };
    return this.#current;
  }

  end(): void {
    if (this.#current === undefined) return;
    this.#current = undefined;
    this.#calmSince = this.now();
  }

  /** Ends it, and the next one is the first again. */
  forgive(): void {
    this.end();
    this.#steps = 0;
  }

  /** Undefined where there is nothing to know. */
  get known(): KnownEjections | undefined {
    const { steps } = this;
    if (steps === 0) return undefined;
    const finding = this.#current?.finding;
    return {
      steps,
      ...(finding !== undefined && { current: { finding, leftMs: this.leftMs } }),
      calmMs: finding === undefined ? (this.now() - this.#calmSince) % this.config.max_eject : 0,
    };
  }

  /** With more of them none would last longer, and it would only take longer until they are forgotten. */
  get #mostSteps(): number {
    return Math.ceil(this.config.max_eject / this.config.eject);
  }
}
