/**
 * Listening sockets that this process got from whoever started it: from a service manager (sd_listen_fds(3)), or from the
 * front or agent before it (predecessor.ts). What such a socket is for its own address says.
 */
import { describeSocket } from '../kernel/bound-socket';
import { closeOnExec, nonBlocking } from '../kernel/descriptor';
import { close } from '../kernel/libc';

/** SD_LISTEN_FDS_START: descriptors are passed from here on, without a gap. */
export const FIRST_PASSED = 3;
/** A listener or two per VIP: a number beyond this is no number of sockets. */
const MOST_PASSED = 4096;

export interface ListeningSocket {
  readonly fd: number;
  /** Whether a service manager has it too, so that its queue outlives this process. */
  readonly held: boolean;
}

interface Passed extends ListeningSocket {
  readonly address: string;
}

export class InheritedSockets {
  #waiting: Passed[] = [];
  readonly #taken: string[] = [];

  /**
   * @param passed the descriptors from 3 on; whose address is not given is asked for it.
   * @param source what errors begin with.
   * @throws Error for a descriptor that is no socket, or of a kind that Baton has no use for.
   */
  constructor(
    passed: readonly { readonly held: boolean; readonly address?: string }[] = [],
    private readonly source = 'inherited sockets',
  ) {
    this.#waiting = passed.map(({ held, address }, index) => {
      const fd = FIRST_PASSED + index;
      return { fd, held, address: this.#checked(fd, address) };
    });
  }

  /** Sockets that a service manager has passed, by LISTEN_PID and LISTEN_FDS, which are removed from `environment`. */
  static fromServiceManager(environment: NodeJS.ProcessEnv): InheritedSockets {
    const { LISTEN_PID: pid, LISTEN_FDS: text = '' } = environment;
    // Those who are started in turn are not meant, and see that by the pid, if they got that far.
    for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES'])
      Reflect.deleteProperty(environment, name);
    if (pid !== String(process.pid)) return new InheritedSockets();
    const count = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
    if (!(count <= MOST_PASSED)) throw new Error(`LISTEN_FDS: "${text}" is no number of descriptors`);
    return new InheritedSockets(Array(count).fill({ held: true }) as { held: true }[], 'LISTEN_FDS');
  }

  /** Hands out the sockets of an address (as describeSocket spells it). */
  take(address: string): ListeningSocket[] {
    const taken = this.#waiting.filter((socket) => socket.address === address);
    this.#waiting = this.#waiting.filter((socket) => socket.address !== address);
    this.#taken.push(...taken.map(() => address));
    return taken;
  }

  /** The address of each socket that was handed out. */
  get taken(): readonly string[] {
    return this.#taken;
  }

  /** @throws Error that names what nobody has taken, where there is any: the caller's socket unit and configuration differ. */
  expectNoneLeft(): void {
    const [first] = this.#waiting;
    if (first === undefined) return;
    throw new Error(
      `${this.source}: descriptor ${first.fd} is bound to ${first.address}, which is no listener's bind and not ` +
        `admin.listen: change the configuration, or whatever passes the socket`,
    );
  }

  /** Closes what nobody has taken. */
  closeRest(): void {
    for (const { fd } of this.#waiting.splice(0)) close(fd);
  }

  /** Makes the descriptor one of this process alone, and returns its address. */
  #checked(fd: number, known: string | undefined): string {
    const socket = describeSocket(fd);
    const name = `${this.source}: descriptor ${fd}`;
    if (socket === undefined) throw new Error(`${name} is not a socket`);
    const { kind, address, dualStack } = socket;
    if (kind === 'other') throw new Error(`${name} (${address}) is not a TCP or Unix stream socket`);
    if (known === undefined && dualStack && address.startsWith('[::]')) {
      throw new Error(`${name} (${address}) takes IPv4 too: make it IPv6 only (BindIPv6Only=ipv6-only)`);
    }
    closeOnExec(fd);
    nonBlocking(fd);
    return known ?? address;
  }
}
