import type { ResponseCounts } from '../wire/report';

/** What comes within a part of the window is one: agents decide how often they report, and memory must not. */
const PARTS = 20;

/** The responses of the last `lengthMs`, to within a twentieth. */
export class ResponseWindow {
  readonly #parts: { readonly at: number; counts: ResponseCounts }[] = [];

  constructor(private readonly lengthMs: number) {}

  add(counts: ResponseCounts, now: number): void {
    this.#forget(now);
    const last = this.#parts.at(-1);
    if (last !== undefined && now - last.at < this.lengthMs / PARTS) last.counts = sum(last.counts, counts);
    else this.#parts.push({ at: now, counts });
  }

  total(now: number): ResponseCounts {
    this.#forget(now);
    return this.#parts.reduce((total, { counts }) => sum(total, counts), NONE);
  }

  clear(): void {
    this.#parts.length = 0;
  }

  #forget(now: number): void {
    while ((this.#parts[0]?.at ?? Infinity) <= now - this.lengthMs) this.#parts.shift();
  }
}

const NONE: ResponseCounts = { responses: 0, serverErrors: 0, totalMs: 0 };

function sum(a: ResponseCounts, b: ResponseCounts): ResponseCounts {
  return {
    responses: a.responses + b.responses,
    serverErrors: a.serverErrors + b.serverErrors,
    totalMs: a.totalMs + b.totalMs,
  };
}
