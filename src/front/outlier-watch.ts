import type { Logger } from 'pino';
import type { OutlierConfig } from '../config/model';
import { EJECTION_CAUSES } from '../health/ejections';
import type { Failures } from '../health/evidence';
import { Outliers } from '../health/outliers';
import type { Sample } from '../observe/stats';
import type { ResponseCounts } from '../wire/report';
import type { Counters } from './counters';
import type { WatchedBackend } from './watched-backend';

/** Ejects outliers of one pool, for the front's main thread. */
export class OutlierWatch {
  readonly #outliers: Outliers;
  #timer: NodeJS.Timeout | undefined;
  #watching = false;

  constructor(
    private readonly pool: string,
    config: OutlierConfig,
    private readonly backends: readonly WatchedBackend[],
    /** Ejections, see `keyOf`. */
    private readonly counters: Counters,
    logger: Logger,
  ) {
    this.#outliers = new Outliers(config, backends, {
      ejected: (backend, { cause }) => counters.add(keyOf(pool, backend, cause)),
      panic: (backend, { detail: cause }) => {
        const fields = { pool, backend, cause, max_share: config.max_share };
        logger.error(
          fields,
          'pool is in panic mode: a backend stays that should be ejected, too few are left',
        );
      },
      calm: () => logger.info({ pool }, 'pool is out of panic mode'),
    });
  }

  /** Begins to decide; before, backends that come up one by one would look like the only ones left. */
  start(): void {
    this.#watching = true;
    this.review();
  }

  stop(): void {
    this.#watching = false;
    clearTimeout(this.#timer);
  }

  responded(backend: string, counts: ResponseCounts): void {
    this.#outliers.responded(backend, counts);
    this.review();
  }

  failing(backend: string, thread: number, failures: Failures): void {
    this.#outliers.failing(backend, thread, failures);
    this.review();
  }

  recovered(backend: string, thread: number): void {
    this.#outliers.recovered(backend, thread);
    this.review();
  }

  /** The state of a backend may have changed. */
  review(): void {
    if (!this.#watching) return;
    this.#outliers.review();
    clearTimeout(this.#timer);
    const { dueMs } = this.#outliers;
    if (dueMs !== undefined) this.#timer = setTimeout(() => this.review(), dueMs).unref();
  }

  /** Why a backend should be ejected, where it is not because too few would be left. */
  withheld(backend: string): string | undefined {
    return this.#outliers.withheld(backend)?.detail;
  }

  get panic(): Sample {
    return { name: 'pool_panic', labels: { pool: this.pool }, value: this.#outliers.panic ? 1 : 0 };
  }

  /** What was counted, of this generation and those before it. */
  get ejections(): Sample[] {
    const { pool } = this;
    return this.backends.flatMap(({ name: backend }) =>
      EJECTION_CAUSES.map((cause) => ({
        name: 'ejections_total',
        labels: { pool, backend, cause },
        value: this.counters.get(keyOf(pool, backend, cause)),
      })),
    );
  }
}

/** Names have no blanks. */
function keyOf(pool: string, backend: string, cause: string): string {
  return `${pool} ${backend} ${cause}`;
}
