import type { Socket } from 'node:net';
import { buildConnector, Pool } from 'undici';
import { MAX_ORIGINS, ORIGIN_KEEP_ALIVE_MS, type RelayLimits } from './limits';

/** A connection that broke off; see `strict`. */
export const ORIGIN_RESET = 'ERR_ORIGIN_RESET';

/** One connection pool per origin, made on first use. */
export class Origins {
  private readonly pools = new Map<string, Pool>();
  private openSockets = 0;

  constructor(private readonly limits: RelayLimits) {}

  /** Connections to origins that are open or being opened, tunnels included. */
  get sockets(): number {
    return this.openSockets;
  }

  /** Counts a connection that is not a pool's. */
  follow(socket: Socket): void {
    this.openSockets += 1;
    socket.once('close', () => (this.openSockets -= 1));
  }

  /**
   * `origin` is like `http://198.18.0.21:8080`.
   * @throws Error when it is no such URL.
   */
  pool(origin: string): Pool {
    const known = this.pools.get(origin);
    if (known !== undefined) return known;
    const pool = new Pool(origin, {
      connections: this.limits.maxConnectionsPerOrigin,
      connect: this.counted(strict(buildConnector({ timeout: this.limits.connectTimeout }))),
      keepAliveTimeout: ORIGIN_KEEP_ALIVE_MS,
      headersTimeout: this.limits.headersTimeout,
      bodyTimeout: this.limits.bodyTimeout,
      // A response that stalls must not hold up the next one.
      pipelining: 1,
    });
    this.pools.set(origin, pool);
    this.closeOldest();
    return pool;
  }

  async close(): Promise<void> {
    await Promise.all(this.takeAll().map((pool) => pool.close()));
  }

  async destroy(): Promise<void> {
    await Promise.all(this.takeAll().map((pool) => pool.destroy()));
  }

  /** One that is being opened counts too: an origin that does not answer may have many of those. */
  private counted(connect: buildConnector.connector): buildConnector.connector {
    return (options, callback) => {
      this.openSockets += 1;
      connect(options, (...result) => {
        this.openSockets -= 1;
        if (result[0] === null) this.follow(result[1]);
        callback(...result);
      });
    };
  }

  /** A pool must not be closed or destroyed twice. */
  private takeAll(): Pool[] {
    const pools = [...this.pools.values()];
    this.pools.clear();
    return pools;
  }

  /** The pool's running requests still come to their end; a later request to that origin makes a new pool. */
  private closeOldest(): void {
    const [oldest] = this.pools;
    if (this.pools.size <= MAX_ORIGINS || oldest === undefined) return;
    this.pools.delete(oldest[0]);
    void oldest[1].close();
  }
}

/**
 * undici takes ECONNRESET in the middle of a body without a length for its end (a kindness to macOS), so a
 * response that was cut off would pass for a whole one. Under another code it is an error.
 */
function strict(connect: buildConnector.connector): buildConnector.connector {
  return (options, callback) => {
    connect(options, (...result) => {
      result[1]?.on('error', renameReset);
      callback(...result);
    });
  };
}

function renameReset(this: Socket, error: NodeJS.ErrnoException): void {
  if (error.code === 'ECONNRESET') error.code = ORIGIN_RESET;
}
