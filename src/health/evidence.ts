import type { OutlierConfig } from '../config/model';
import type { ResponseCounts } from '../wire/report';
import type { Finding } from './ejections';
import { ResponseWindow } from './response-window';

/** Handoffs to a backend that failed in a row, in the eyes of one accepting thread. */
export interface Failures {
  readonly count: number;
  /** Of the last of them. */
  readonly result: string;
}

/** What speaks against a backend, of the last `window`. */
export class Evidence {
  readonly #responses: ResponseWindow;
  /** By accepting thread: one of them is enough. */
  readonly #failures = new Map<number, Failures & { readonly at: number }>();

  constructor(private readonly config: OutlierConfig) {
    this.#responses = new ResponseWindow(config.window);
  }

  /** An agent's numbers are its own to make up: there are no more errors than responses here. */
  responded({ responses, serverErrors, totalMs }: ResponseCounts, now: number): void {
    this.#responses.add({ responses, serverErrors: Math.min(serverErrors, responses), totalMs }, now);
  }

  failing(thread: number, failures: Failures, now: number): void {
    this.#failures.set(thread, { ...failures, at: now });
  }

  recovered(thread: number): void {
    this.#failures.delete(thread);
  }

  clear(): void {
    this.#responses.clear();
    this.#failures.clear();
  }

  /** Undefined where there is nothing to say against it. */
  finding(now: number): Finding | undefined {
    return this.#ofFailures(now) ?? this.#ofResponses(now);
  }

  #ofFailures(now: number): Finding | undefined {
    for (const [thread, { count, result, at }] of this.#failures) {
      // A thread that goes on failing says so again.
      if (at <= now - this.config.window) this.#failures.delete(thread);
      else return { cause: 'failures', detail: `${count} handoffs in a row failed, the last one: ${result}` };
    }
    return undefined;
  }

  #ofResponses(now: number): Finding | undefined {
    const { window, min_responses, errors, latency = Infinity } = this.config;
    const { responses, serverErrors, totalMs } = this.#responses.total(now);
    if (responses < min_responses) return undefined;
    const which = `${responses} responses in ${window / 1000} s`;
    if (serverErrors / responses >= errors) {
      return { cause: 'errors', detail: `${serverErrors} of ${which} were 5xx` };
    }
    const mean = totalMs / responses;
    if (mean <= latency) return undefined;
    return { cause: 'latency', detail: `${which} took ${Math.round(mean)} ms each in the mean` };
  }
}
