import type { Logger } from 'pino';
import { lookUp, type Answer, type Question } from './lookup';
import type { Member } from './member';
import { QueryFailed, type Resolver } from './resolver';

/** What became of a resolution: values of the label `result` of discovery_total. */
export const DISCOVERY_RESULTS = ['ok', 'failed', 'empty'] as const;
export type DiscoveryResult = (typeof DISCOVERY_RESULTS)[number];

/** A resolution of a thousand targets takes a second or two; one that takes longer would outlive the answers of its first ones. */
const LIMIT_MS = 10_000;
/** Refused records that a line of the log shows. */
const SHOWN = 10;

export interface WatchOptions {
  readonly pool: string;
  readonly question: Question;
  /** Bounds of the time between two resolutions, ms. */
  readonly minMs: number;
  readonly maxMs: number;
  readonly makeResolver: () => Resolver;
}

/**
 * Asks for one name again and again: when the answer's TTL is over, within the bounds, and after a resolution that failed or
 * found nothing with waits that double between them. What was known before stays known then.
 */
export class Watch {
  /** Resolves when the first resolution has come to an end, good or bad. */
  readonly settled: Promise<void>;
  #settle: () => void = () => undefined;
  #members: readonly Member[] | undefined;
  #timer: NodeJS.Timeout | undefined;
  #resolver: Resolver | undefined;
  #limit: NodeJS.Timeout | undefined;
  #stopped = false;
  /** Whether the resolution under way has taken too long. */
  #late = false;
  #waitMs: number;
  /** What the log was told last: a failure that goes on is no news. */
  #said = '';

  /**
   * @param members what is known of the name already.
   * @param onResolved called after each resolution; `members` are up to date then.
   */
  constructor(
    private readonly options: WatchOptions,
    members: readonly Member[] | undefined,
    private readonly logger: Logger,
    private readonly onResolved: (result: DiscoveryResult) => void,
  ) {
    this.#members = members;
    this.settled = new Promise((resolve) => (this.#settle = resolve));
    this.#waitMs = options.minMs;
  }

  get question(): Question {
    return this.options.question;
  }

  /** Undefined while nobody knows. */
  get members(): readonly Member[] | undefined {
    return this.#members;
  }

  start(): void {
    void this.#resolve();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#close();
    this.#settle();
  }

  async #resolve(): Promise<void> {
    const outcome = await this.#ask();
    if (this.#stopped) return;
    const { minMs, maxMs } = this.options;
    if (typeof outcome === 'object') {
      this.#members = outcome.members;
      this.#waitMs = minMs;
      this.#again(Math.min(maxMs, Math.max(minMs, outcome.ttl * 1000)));
      this.#succeeded(outcome.refused);
      this.onResolved('ok');
    } else {
      this.#again(this.#waitMs);
      this.#waitMs = Math.min(maxMs, this.#waitMs * 2);
    }
    this.#settle();
  }

  /** The answer, or what came in its place, which was said and counted. */
  async #ask(): Promise<Answer | 'failed' | 'empty'> {
    const resolver = this.#open();
    try {
      const answer = await lookUp(this.question, resolver);
      if (answer.members.length > 0) return answer;
      const cause = `${this.question.dns} has no records that can be used`;
      return this.#without('empty', shown([cause, ...answer.refused]));
    } catch (error) {
      if (!(error instanceof QueryFailed)) throw error;
      if (this.#late) return this.#without('failed', `not answered within ${LIMIT_MS / 1000} s`);
      // Which of several questions fails first is chance.
      return this.#without('failed', error.message, error.code);
    } finally {
      this.#close();
    }
  }

  #open(): Resolver {
    const resolver = (this.#resolver = this.options.makeResolver());
    this.#late = false;
    this.#limit = setTimeout(() => {
      this.#late = true;
      resolver.cancel();
    }, LIMIT_MS);
    return resolver;
  }

  /** Where one question has failed, nobody waits for the others. */
  #close(): void {
    clearTimeout(this.#limit);
    this.#resolver?.cancel();
  }

  #again(ms: number): void {
    this.#timer = setTimeout(() => void this.#resolve(), ms).unref();
  }

  #without<R extends 'failed' | 'empty'>(result: R, cause: string, kind = cause): R {
    if (this.#stopped) return result;
    if (this.#isNews(`${result} ${kind}`)) {
      const known = this.#members?.length ?? 0;
      const kept = known === 0 ? 'and none is known from before' : 'those that were known stay';
      this.logger.warn({ ...this.#subject, cause, known }, `no backends were found by DNS, ${kept}`);
    }
    this.onResolved(result);
    return result;
  }

  #succeeded(refused: readonly string[]): void {
    const before = this.#said;
    const cause = shown(refused);
    if (!this.#isNews(cause === '' ? '' : `refused ${cause}`)) return;
    if (cause !== '')
      this.logger.warn({ ...this.#subject, cause }, 'records that cannot be backends are left out');
    else if (!before.startsWith('refused'))
      this.logger.info(this.#subject, 'backends are found by DNS again');
  }

  #isNews(text: string): boolean {
    if (text === this.#said) return false;
    this.#said = text;
    return true;
  }

  get #subject(): Record<string, string> {
    return { pool: this.options.pool, dns: this.question.dns };
  }
}

function shown(causes: readonly string[]): string {
  const more = causes.length > SHOWN ? [`and ${causes.length - SHOWN} more`] : [];
  return [...causes.slice(0, SHOWN), ...more].join('; ');
}
