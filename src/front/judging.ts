/**
 * Later requests of a connection. After a handoff no front sees what a client sends, so a later request could reach a pool that
 * the routes would not have sent it to. Where that is possible, the agent judges each by the table that the front sends it
 * (agent-tables.ts). With an agent that does not, the connection is handed over for its first request alone: the head says
 * `Connection: close`, and the snapshot tells the agent to let nothing through behind it (head-editor.ts).
 */
import type { FrontConfig, ListenerConfig } from '../config/model';
import type { Http1Peek } from '../peek/http1';
import { leadToOnePool } from '../route/one-pool';

/**
 * Whether later requests of a listener's connections are to be judged: where one could be meant for another pool, changed
 * or answered on its way or, in a pool that goes by what requests of one client may differ in, meant for another backend.
 */
export function needsJudging(
  listener: ListenerConfig,
  { routes, pools }: Pick<FrontConfig, 'routes' | 'pools'>,
): boolean {
  const mixes = pools.some(({ hash = 'client', sticky }) => hash !== 'client' || sticky !== undefined);
  // Without heads there are no requests to tell from each other.
  if (listener.protocol === 'tcp' || listener.routing === 'per-connection') return false;
  return mixes || !leadToOnePool(routes, listener.name);
}

/**
 * Whether more than the message has arrived, judging by the `received` bytes that its head was read from. Of chunks nobody
 * knows without reading them.
 */
export function isFollowed(head: Http1Peek, received: number): boolean {
  return !head.chunked && received > head.headLength + Math.max(0, head.contentLength);
}
