import type { FastifyInstance } from 'fastify';
import { formatVip } from '../config/addresses';
import { formatFlow } from '../kernel/flow';
import type { Agent } from './agent';

const CONNECTIONS_LISTED = 100;
const MOST_CONNECTIONS_LISTED = 10_000;

/** Adds the agent's part of the admin API: status and connections. */
export function addAgentRoutes(admin: FastifyInstance, agent: Agent): void {
  const startedAt = performance.now();

  admin.get('/v1/status', () => ({
    node: agent.config.node,
    serving: agent.serving,
    uptime_seconds: (performance.now() - startedAt) / 1000,
    vips: agent.config.vips.map(formatVip),
    connections: agent.live.size,
    prepared: agent.control.prepared,
    draining: agent.control.draining,
    adoptions: agent.adopter.results,
    fronts: agent.control.fronts(),
  }));

  for (const [path, draining] of [
    ['/v1/drain', true],
    ['/v1/ready', false],
  ] as const) {
    admin.post(path, () => {
      agent.drain(draining);
      return { draining, connections: agent.live.size };
    });
  }

  admin.get<{ Querystring: { limit?: string } }>('/v1/connections', (request, reply) => {
    const limit = Number(request.query.limit ?? CONNECTIONS_LISTED);
    if (!Number.isInteger(limit) || limit < 1 || limit > MOST_CONNECTIONS_LISTED) {
      return reply.code(400).send({ error: `limit is not a number from 1 to ${MOST_CONNECTIONS_LISTED}` });
    }
    const now = performance.now();
    const connections: Record<string, unknown>[] = [];
    for (const { flow, id, front, socket, since } of agent.live) {
      if (connections.length >= limit) break;
      connections.push({
        flow: formatFlow(flow),
        front,
        handoff: `${id.epoch}.${id.sequence}`,
        age_seconds: (now - since) / 1000,
        bytes_read: socket.bytesRead,
        bytes_written: socket.bytesWritten,
      });
    }
    return reply.send({ total: agent.live.size, connections });
  });
}
