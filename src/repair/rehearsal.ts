/**
 * The rehearsal: an agent restores a connection that never was, before a front may offer one. What this process or this
 * host lacks for it then shows at start, and not at the first client.
 *
 * It goes through all of a restore, with queues that need the buffers forced open, twice: the second restore meets the
 * first one's socket and has to destroy it. Both ends are addresses of lo, and the client's is one that nobody uses.
 */
import { adviceOnCapabilities } from '../kernel/capabilities';
import { EPERM } from '../kernel/errors';
import { makeFlow } from '../kernel/flow';
import { release } from './dump';
import { RepairError } from './errors';
import * as layout from './layout';
import { Restorer } from './restore';

const OURS = '127.0.0.1';
const CLIENT = '127.255.255.254';
/** Agents of one host rehearse on ports of their own: they must not destroy each other's sockets. */
const clientPort = (): number => 1024 + (process.pid % 60_000);
const ANY_PORT = 8080;
const LOW_PORT = 80;
/** More than a fresh socket's buffers hold, so that they have to be forced. */
const QUEUE_BYTES = 64 * 1024;

/** What this agent has to do without. */
export interface Restrictions {
  /** Why connections to VIP ports below 1024 cannot be restored. */
  readonly lowPorts?: string;
  /** Why the remains of a client's earlier connection cannot be cleared away. */
  readonly destroying?: string;
}

/** Throws an Error that names step, cause and remedy where nothing can be restored at all. */
export function rehearse(): Restrictions {
  const restorer = new Restorer();
  try {
    release(tryRestore(restorer, ANY_PORT));
    return { ...tryAgain(restorer), ...tryLowPort(restorer) };
  } finally {
    restorer.close();
  }
}

function tryRestore(restorer: Restorer, port: number): number {
  try {
    return restorer.restore(snapshot(port), 0);
  } catch (error) {
    if (!(error instanceof RepairError)) throw error;
    const advice = error.errno === EPERM ? ` (${adviceOnCapabilities('CAP_NET_ADMIN')})` : '';
    throw new Error(`rehearse a restore: ${error.message}${advice}`, { cause: error });
  }
}

/** Over a socket of the same addresses. */
function tryAgain(restorer: Restorer): Restrictions {
  const inTheWay = tryRestore(restorer, ANY_PORT);
  try {
    release(restorer.restore(snapshot(ANY_PORT), 0, true));
    return {};
  } catch (error) {
    if (!(error instanceof RepairError)) throw error;
    return { destroying: `${error.message} (needs CONFIG_INET_DIAG_DESTROY and netlink sockets)` };
  } finally {
    release(inTheWay);
  }
}

function tryLowPort(restorer: Restorer): Restrictions {
  try {
    release(restorer.restore(snapshot(LOW_PORT), 0));
    return {};
  } catch (error) {
    if (!(error instanceof RepairError) || error.code !== 'not_permitted') throw error;
    return { lowPorts: `${error.message} (${adviceOnCapabilities('CAP_NET_BIND_SERVICE')})` };
  }
}

/** All sequences are 0, which is as good as any. */
function snapshot(port: number): Buffer {
  const bytes = Buffer.alloc(layout.HEADER_BYTES + 2 * QUEUE_BYTES);
  bytes[layout.VERSION] = layout.SNAPSHOT_VERSION;
  bytes.writeUInt16BE(1460, layout.MSS);
  makeFlow(CLIENT, clientPort(), OURS, port).copy(bytes, layout.FLOW);
  bytes.writeUInt32BE(QUEUE_BYTES, layout.RECEIVE_LENGTH);
  bytes.writeUInt32BE(QUEUE_BYTES, layout.SENT_LENGTH);
  layout.checkSnapshot(bytes, 0, bytes.length);
  return bytes;
}
