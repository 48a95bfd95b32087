import type { ResponseCounts } from '../wire/report';

/** The responses that ended on adopted connections of this agent, those that were broken off included. */
export class Responses implements ResponseCounts {
  readonly #byCode = new Map<number, number>();
  responses = 0;
  serverErrors = 0;
  totalMs = 0;

  /** @param ms from the request to the end of the response, as far as the application is concerned. */
  ended(code: number, ms: number): void {
    this.#byCode.set(code, (this.#byCode.get(code) ?? 0) + 1);
    this.responses += 1;
    if (code >= 500) this.serverErrors += 1;
    this.totalMs += ms;
  }

  /** Status codes and how many there were of each. */
  get byCode(): Iterable<readonly [code: number, count: number]> {
    return this.#byCode;
  }
}
