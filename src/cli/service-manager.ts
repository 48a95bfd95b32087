import type { Logger } from 'pino';
import { sendUnixDatagram } from '../kernel/datagram';

/**
 * Tells the service manager, if it listens, how the service is doing (sd_notify(3)): `READY=1`, `STOPPING=1`, `MAINPID=`.
 * It may do without: what goes wrong is worth a line and no more.
 */
export function tellServiceManager(state: string, logger: Logger): void {
  const { NOTIFY_SOCKET: path } = process.env;
  if (path === undefined || path === '') return;
  try {
    sendUnixDatagram(path, state);
  } catch (error) {
    logger.warn({ state, cause: String(error) }, 'cannot tell the service manager');
  }
}
