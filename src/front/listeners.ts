import type { FrontConfig, ListenerLimits } from '../config/model';
import { adviceOnCapabilities } from '../kernel/capabilities';
import { addressOf } from '../kernel/bound-socket';
import { duplicate } from '../kernel/descriptor';
import { KernelError } from '../kernel/errors';
import { close } from '../kernel/libc';
import { bindTo, setListenerOptions, startListening } from '../kernel/socket';
import { InheritedSockets, type ListeningSocket } from '../succession/inherited-sockets';
import { needsJudging } from './judging';

/** The kernel caps it at net.core.somaxconn. */
const BACKLOG = 65_535;
/**
 * TCP_DEFER_ACCEPT in seconds: the kernel keeps a connection to itself until its first bytes are there. A client that says
 * nothing is accepted when the kernel's SYN/ACK has been repeated, which takes as long.
 */
const DEFER_SECONDS = 1;

interface Bind {
  readonly host: string;
  readonly port: number;
}

/** An accepting thread's own descriptor of a listening socket; `name` is the listener's in the configuration. */
export interface OpenListener {
  readonly name: string;
  readonly host: string;
  readonly address: string;
  readonly fd: number;
  /** Whether later requests of its connections are judged: judging.ts. */
  readonly judged: boolean;
  /** Whether its connections have no head: protocol tcp. */
  readonly raw: boolean;
  readonly limits?: ListenerLimits;
}

/** Seconds of a head's time that have passed when a client is accepted that has said nothing; 0 where that is too much. */
export function deferSeconds(headMs: number): number {
  return headMs > 2000 * DEFER_SECONDS ? DEFER_SECONDS : 0;
}

/**
 * The listening sockets of a front. Closing one resets the connections that its queue holds, and those whose handshake is
 * under way, although others listen at the same address. So sockets outlive every reload and restart that still needs their
 * address, whatever the number of accepting threads:
 *
 *   sockets   threads   who accepts
 *      2         2      each from its own
 *      3         2      each from its own, both from the third (there were three threads once)
 *      1         2      both from it (a service manager has it: other sockets would not outlive this process)
 *
 * Threads get descriptors of their own and close them; the one that is kept here is closed when the address is given up.
 */
export class Listeners {
  #open = new Map<string, ListeningSocket[]>();
  /** What the last `prepare` has opened. */
  #fresh = new Set<ListeningSocket>();
  /** Seconds of TCP_DEFER_ACCEPT by address, as they are and as they were before the last `prepare`. */
  #deferred = new Map<string, number>();
  #deferredBefore: ReadonlyMap<string, number> = new Map<string, number>();

  constructor(private readonly inherited = new InheritedSockets()) {}

  /**
   * Opens what a configuration needs and is not open yet; one list per accepting thread, whose descriptors are the
   * caller's. Throws an Error that names the step; `abandon` is the undo.
   */
  prepare(config: FrontConfig): OpenListener[][] {
    const { listeners, timeouts, workers } = config;
    this.#fresh = new Set();
    this.#deferredBefore = new Map(this.#deferred);
    const threads: OpenListener[][] = Array.from({ length: workers }, () => []);
    try {
      for (const listener of listeners) {
        const { name, bind } = listener;
        const raw = listener.protocol === 'tcp';
        // Where nobody waits for a head, the server may be the first to speak.
        const deferAccept = raw ? 0 : deferSeconds(timeouts.head);
        const sockets = this.#socketsFor(name, bind, workers, deferAccept);
        const judged = needsJudging(listener, config);
        const { limits } = listener;
        const common = {
          name,
          host: bind.host,
          address: addressOf(bind),
          judged,
          raw,
          ...(limits && { limits }),
        };
        for (const [thread, own] of shareOut(sockets, workers).entries()) {
          for (const { fd } of own) threads[thread]?.push({ ...common, fd: duplicate(fd) });
        }
      }
      return threads;
    } catch (error) {
      closeListeners(threads.flat());
      throw error;
    }
  }

  /** The undo of `prepare`: nobody accepts from what it has opened. */
  abandon(): void {
    for (const [address, sockets] of this.#open) {
      this.#set(
        address,
        sockets.filter((socket) => !this.#fresh.has(socket)),
      );
    }
    for (const { fd } of this.#fresh) close(fd);
    this.#fresh = new Set();
    // Whoever goes on accepting may be of another protocol, whose clients wait to be spoken to.
    this.#deferred = new Map(this.#deferredBefore);
    for (const [address, seconds] of this.#deferred)
      for (const { fd } of this.#open.get(address) ?? []) setListenerOptions(fd, seconds);
  }

  /** Gives up all addresses that a configuration does not need, and returns them: the threads have sockets of them yet. */
  keepOnly(config: FrontConfig | undefined): string[] {
    const needed = new Set(config?.listeners.map(({ bind }) => addressOf(bind)));
    const given = [...this.#open].filter(([address]) => !needed.has(address));
    for (const [address, sockets] of given) {
      this.#open.delete(address);
      for (const { fd } of sockets) close(fd);
    }
    return given.map(([address]) => address);
  }

  /** All sockets, for a successor. */
  all(): (ListeningSocket & { readonly address: string })[] {
    return [...this.#open].flatMap(([address, sockets]) => sockets.map((socket) => ({ ...socket, address })));
  }

  #socketsFor(name: string, bind: Bind, workers: number, deferAccept: number): ListeningSocket[] {
    const address = addressOf(bind);
    const sockets = [...(this.#open.get(address) ?? this.inherited.take(address))];
    this.#set(address, sockets);
    for (const { fd } of sockets) setListenerOptions(fd, deferAccept);
    this.#deferred.set(address, deferAccept);
    const served = sockets.length > 0;
    while (sockets.length < workers && !sockets.some(({ held }) => held)) {
      const socket = { fd: openListener(name, bind, deferAccept, !served), held: false };
      sockets.push(socket);
      this.#fresh.add(socket);
      this.#set(address, sockets);
    }
    return sockets;
  }

  #set(address: string, sockets: ListeningSocket[]): void {
    if (sockets.length > 0) this.#open.set(address, sockets);
    else this.#open.delete(address);
  }
}

/** Which sockets of one address each of `threads` accepts from. */
export function shareOut<T>(sockets: readonly T[], threads: number): T[][] {
  const owned = sockets.length < threads ? 0 : threads;
  const common = sockets.slice(owned);
  return Array.from({ length: threads }, (_, thread) => [
    ...sockets.slice(thread, Math.min(thread + 1, owned)),
    ...common,
  ]);
}

export function closeListeners(listeners: readonly OpenListener[]): void {
  for (const { fd } of listeners) close(fd);
}

/** Listens, or goes on listening, on behalf of an accepting thread; throws an Error that names the step. */
export function listen({ name, address, fd }: OpenListener): void {
  explained(name, () => startListening(fd, BACKLOG, address));
}

/**
 * Connections may come at once and wait, unless others accept at this address: they are served now, and would wait in vain
 * if this start failed. So such a socket only begins to listen when there is somebody to accept.
 */
function openListener(name: string, bind: Bind, deferAccept: number, atOnce: boolean): number {
  return explained(name, () => {
    const fd = bindTo({ ...bind, deferAccept, shared: true });
    try {
      if (atOnce) startListening(fd, BACKLOG, addressOf(bind));
      return fd;
    } catch (error) {
      close(fd);
      throw error;
    }
  });
}

/** What to do about an address that cannot be bound, by errno. */
const ADVICE: Readonly<Record<string, string>> = {
  EADDRNOTAVAIL: 'this host does not have the address: ip address add it to the client-facing interface',
  EADDRINUSE: 'another process listens there',
};

function explained<T>(name: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    const advice =
      error.code === 'EACCES' ? adviceOnCapabilities('CAP_NET_BIND_SERVICE') : ADVICE[error.code];
    const message = `listener ${name}: ${error.message}${advice === undefined ? '' : `, ${advice}`}`;
    throw new Error(message, { cause: error });
  }
}
