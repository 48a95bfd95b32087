import type { Logger } from 'pino';
import type { WatchedBackend } from './watched-backend';

/** How often it is looked whether a draining backend has connections left: the flow table is counted once a second. */
const LOOK_MS = 1000;

/** Has the connections of draining backends move, and says in the log when the last one is gone. */
export class Drains {
  #timer: NodeJS.Timeout | undefined;
  /** Those that it was said of. */
  readonly #drained = new Set<string>();

  constructor(
    private readonly backends: () => readonly WatchedBackend[],
    private readonly flowsOf: (backend: WatchedBackend) => number,
    /** Has its connections move; they may have to be asked for more than once. */
    private readonly move: (backend: WatchedBackend) => void,
    private readonly logger: Logger,
  ) {}

  /** Looks until no backend drains any more that has connections. */
  watch(): void {
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const draining = this.backends().filter((backend) => backend.draining);
    const names = new Set(draining.map(keyOf));
    for (const key of this.#drained) if (!names.has(key)) this.#drained.delete(key);
    const left = draining.filter((backend) => !this.#drained.has(keyOf(backend)));
    if (left.length === 0) this.stop();
    for (const backend of left) {
      if (this.flowsOf(backend) > 0) {
        this.move(backend);
        continue;
      }
      this.#drained.add(keyOf(backend));
      const fields = { pool: backend.pool.name, backend: backend.config.name };
      this.logger.info(fields, 'backend is drained: its last connection is gone');
    }
  }
}

function keyOf({ pool, config }: WatchedBackend): string {
  return `${pool.name} ${config.name}`;
}
