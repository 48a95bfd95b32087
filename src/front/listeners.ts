import type { FrontConfig } from '../config/model';
import { adviceOnCapabilities } from '../kernel/capabilities';
import { KernelError } from '../kernel/errors';
import { close } from '../kernel/libc';
import { IPPROTO_TCP, listenOn, setOption, TCP_DEFER_ACCEPT, type ListenOptions } from '../kernel/socket';
import { carriesOneRequest } from './one-request';

/** The kernel caps it at net.core.somaxconn. */
const BACKLOG = 65_535;
/**
 * TCP_DEFER_ACCEPT in seconds: the kernel keeps a connection to itself until its first bytes are there. A client that says
 * nothing is accepted when the kernel's SYN/ACK has been repeated, which takes as long.
 */
const DEFER_SECONDS = 1;

/** A listening socket of one accepting thread; `name` is the listener's in the configuration. */
export interface OpenListener {
  readonly name: string;
  readonly host: string;
  readonly fd: number;
  /** Whether its connections carry one request each: one-request.ts. */
  readonly oneRequest: boolean;
}

/** Seconds of a head's time that have passed when a client is accepted that has said nothing; 0 where that is too much. */
export function deferSeconds(headMs: number): number {
  return headMs > 2000 * DEFER_SECONDS ? DEFER_SECONDS : 0;
}

/**
 * The listening sockets of a front, one per listener and accepting thread. They outlive a reload: closing one would reset
 * the connections that its queue holds.
 */
export class Listeners {
  #open = new Map<string, number>();

  /**
   * Opens what a configuration needs and is not open yet; one list per accepting thread. Throws a KernelError that names
   * the step; `abandon` is the undo.
   */
  prepare(config: FrontConfig): OpenListener[][] {
    const defer = deferSeconds(config.timeouts.head);
    return Array.from({ length: config.workers }, (_, thread) =>
      config.listeners.map((listener) => {
        const { name, bind } = listener;
        const fd = this.#openOne(name, keyOf(thread, bind), bind, defer);
        return { name, host: bind.host, fd, oneRequest: carriesOneRequest(listener, config.routes) };
      }),
    );
  }

  /** Forgets all sockets that a configuration does not need: whoever accepts from them closes them. Returns the others. */
  keepOnly(config: FrontConfig | undefined): number[] {
    const needed = keysOf(config);
    this.#open = new Map([...this.#open].filter(([key]) => needed.has(key)));
    return [...this.#open.values()];
  }

  /** Closes all sockets that a configuration does not need: nobody accepts from them. */
  abandon(config: FrontConfig | undefined): void {
    const needed = keysOf(config);
    for (const key of [...this.#open.keys()]) if (!needed.has(key)) this.#close(key);
  }

  #openOne(
    name: string,
    key: string,
    bind: { readonly host: string; readonly port: number },
    deferAccept: number,
  ): number {
    const known = this.#open.get(key);
    if (known !== undefined) {
      setOption(known, IPPROTO_TCP, TCP_DEFER_ACCEPT, deferAccept);
      return known;
    }
    const fd = openListener(name, { host: bind.host, port: bind.port, backlog: BACKLOG, deferAccept });
    this.#open.set(key, fd);
    return fd;
  }

  #close(key: string): void {
    const fd = this.#open.get(key);
    this.#open.delete(key);
    if (fd !== undefined) close(fd);
  }
}

function keyOf(thread: number, bind: { readonly host: string; readonly port: number }): string {
  return `${thread} ${bind.host} ${bind.port}`;
}

/** What to do about an address that cannot be bound, by errno. */
const ADVICE: Readonly<Record<string, string>> = {
  EADDRNOTAVAIL: 'this host does not have the address: ip address add it to the client-facing interface',
  EADDRINUSE: 'another process listens there',
};

function openListener(name: string, options: ListenOptions): number {
  try {
    return listenOn(options);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    const advice =
      error.code === 'EACCES' ? adviceOnCapabilities('CAP_NET_BIND_SERVICE') : ADVICE[error.code];
    const message = `listener ${name}: ${error.message}${advice === undefined ? '' : `, ${advice}`}`;
    throw new Error(message, { cause: error });
  }
}

function keysOf(config: FrontConfig | undefined): Set<string> {
  const keys = new Set<string>();
  for (let thread = 0; thread < (config?.workers ?? 0); thread++) {
    for (const { bind } of config?.listeners ?? []) keys.add(keyOf(thread, bind));
  }
  return keys;
}
