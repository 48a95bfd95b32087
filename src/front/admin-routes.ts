import type { FastifyInstance } from 'fastify';
import { formatFlow, parseFlow } from '../kernel/flow';
import { monotonicNs } from '../steer/flow-table';
import { USUAL, type Question } from './asked-request';
import type { Front } from './front';
import type { MoveAnswer } from './mover';
import type { WatchedBackend } from './watched-backend';

/** Flows that one answer lists unless asked otherwise, and at most: the table may hold a million. */
const FLOWS_LISTED = 100;
const MOST_FLOWS_LISTED = 10_000;
const NS_PER_SECOND = 1e9;

/** As a query string has it: a key that is given several times is a list. */
type ExplainQuery = Partial<Record<Exclude<keyof Question, 'headers'> | 'header', string | string[]>>;

/** Adds the front's part of the admin API: status, backends, flows, explain, drain and ready, reload. */
export function addFrontRoutes(admin: FastifyInstance, front: Front): void {
  const startedAt = performance.now();

  admin.get('/v1/status', async () => {
    const { status } = await front.observe();
    const flows = [...front.flowCounts().values()].reduce((sum, count) => sum + count, 0);
    const { config, keeper } = front.generation;
    return {
      node: config.node,
      serving: front.serving,
      uptime_seconds: (performance.now() - startedAt) / 1000,
      workers: config.workers,
      listeners: config.listeners.map(({ name, bind, protocol }) => ({ name, bind, protocol })),
      connections: status.active,
      offers: status.offers,
      releasing_sockets: status.releasing,
      relayed_bytes: status.relayedBytes,
      flows: { live: flows, lingering: keeper.lingering, capacity: front.steering.flows.capacity },
      steering: {
        interface: config.steering.interface,
        pin: config.steering.pin,
        dropped_packets: front.steering.drops(),
      },
    };
  });

  admin.post('/v1/reload', async (_request, reply) => {
    try {
      await front.reload();
      return { status: 'reloaded' };
    } catch (error) {
      return reply.code(422).send({ error: error instanceof Error ? error.message : String(error) });
    }
  });

  admin.get('/v1/backends', () => ({
    backends: front.generation.backends.map((backend) => describe(front, backend)),
  }));

  admin.get<{ Querystring: ExplainQuery }>('/v1/explain', (request, reply) => {
    const { header, ...rest } = request.query;
    const given = Object.fromEntries(
      Object.entries(rest).filter(([key]) => key !== 'headers' && Object.hasOwn(USUAL, key)),
    );
    const unknown = Object.keys(rest).find((key) => !Object.hasOwn(given, key));
    if (unknown !== undefined)
      return reply
        .code(400)
        .send({ error: `"${unknown}" is not one of host, path, method, header, client, listener` });
    const twice = Object.entries(given).find(([, value]) => typeof value !== 'string');
    if (twice !== undefined) return reply.code(400).send({ error: `"${twice[0]}" is given twice` });
    try {
      const headers = header === undefined ? [] : [header].flat();
      return reply.send(front.generation.explain({ ...USUAL, ...given, headers }));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return reply.code(400).send({ error: error.message });
    }
  });

  for (const [verb, draining] of [
    ['drain', true],
    ['ready', false],
  ] as const) {
    admin.post<{ Params: { pool: string; name: string } }>(
      `/v1/backends/:pool/:name/${verb}`,
      (request, reply) => {
        const { pool, name } = request.params;
        const backend = front.setDraining(pool, name, draining);
        if (backend !== undefined) return reply.send(describe(front, backend));
        return reply.code(404).send({ error: `there is no backend "${name}" in a pool "${pool}"` });
      },
    );
  }

  admin.post<{ Params: { pool: string } }>('/v1/pools/:pool/rebalance', (request, reply) => {
    const { pool } = request.params;
    const answer = front.rebalance(pool);
    if (answer === undefined) return reply.code(404).send({ error: `there is no pool "${pool}"` });
    if (typeof answer === 'string') return reply.code(409).send({ error: `pool "${pool}" stays: ${answer}` });
    return reply.send({ pool, ...answer });
  });

  admin.post<{ Body: unknown }>('/v1/flows/move', async (request, reply) => {
    const wanted = moveAsked(request.body);
    if (typeof wanted === 'string') return reply.code(400).send({ error: wanted });
    const { flow, to } = wanted;
    const answer = await front.move(flow, to);
    const backend = backendOf(front, flow);
    if (answer.moved) return reply.send({ flow: formatFlow(flow), backend, ms: answer.ms });
    const code = answer.why === 'gone' ? 404 : 409;
    return reply.code(code).send({ error: `the connection stays: ${WHY[answer.why]}`, reason: answer.why });
  });

  admin.get<{ Querystring: { limit?: string } }>('/v1/flows', (request, reply) => {
    const limit = Number(request.query.limit ?? FLOWS_LISTED);
    if (!Number.isInteger(limit) || limit < 1 || limit > MOST_FLOWS_LISTED) {
      return reply.code(400).send({ error: `limit is not a number from 1 to ${MOST_FLOWS_LISTED}` });
    }
    return reply.send(listFlows(front, limit));
  });
}

/** What is to move where; or what is wrong with the question. */
function moveAsked(body: unknown): { flow: Buffer; to: string } | string {
  if (typeof body !== 'object' || body === null) return 'the body is no JSON object with flow and to';
  const { flow: text, to = '', ...others } = body as Record<string, unknown>;
  const [other] = Object.keys(others);
  if (other !== undefined) return `"${other}" is not one of flow, to`;
  const flow = typeof text === 'string' ? parseFlow(text) : undefined;
  if (flow === undefined) return '"flow" is not a flow as /v1/flows has it: CLIENT:PORT>VIP:PORT';
  return typeof to === 'string' ? { flow, to } : '"to" is not the name of a backend';
}

/** Why a connection stays, and what to do. */
const WHY: Readonly<Record<Extract<MoveAnswer, { moved: false }>['why'], string>> = {
  gone: 'there is no such flow',
  no_channel: 'the control channel to its agent is down',
  timeout: 'its agent has not answered in time: see the logs of both',
  unspecified: 'its agent does not say why',
  refused: 'no backend took it: see the log, and /v1/backends for who is up',
  unknown: 'its agent does not have it (any more)',
  busy: 'a request was under way all the time: try again',
  upgraded: 'it has left HTTP or carries one request, and its application has no way to let go of it',
  closing: 'its client has closed its side',
};

function backendOf(front: Front, flow: Buffer): string {
  const number = front.steering.flows.get(flow)?.backend;
  // Behind the name is the agent's address.
  return number === undefined ? '' : (front.steering.backends.name(number) ?? '').replace(/@.*/, '');
}

function describe(front: Front, backend: WatchedBackend): Record<string, unknown> {
  const { pool, config, checker, link } = backend;
  const flows = front.flowsOf(backend);
  const withheld = front.generation.withheldFor(backend);
  return {
    pool: pool.name,
    name: config.name,
    source: pool.discovery === undefined ? 'static' : 'dns',
    state: backend.state,
    cause: backend.cause,
    control_channel: link.up ? 'up' : 'down',
    health: checker === undefined ? 'not checked' : backend.healthy ? 'up' : 'down',
    weight: config.weight,
    agent: config.agent,
    flows,
    connections: front.generation.connectionsOf(backend) ?? null,
    ...(backend.draining && { drained: flows === 0 }),
    ...(backend.ejection !== undefined && { ejected_seconds_left: backend.ejectedMs / 1000 }),
    ...(withheld !== undefined && { ejection_withheld: withheld }),
  };
}

function listFlows(front: Front, limit: number): Record<string, unknown> {
  const now = monotonicNs();
  const flows: Record<string, unknown>[] = [];
  let total = 0;
  front.steering.flows.forEach((entry) => {
    total += 1;
    if (flows.length >= limit) return;
    const flow = formatFlow(entry.flow);
    flows.push({
      flow,
      backend: front.steering.backends.name(entry.backend) ?? String(entry.backend),
      handoff: `${entry.id.epoch}.${entry.id.sequence}`,
      age_seconds: (now - entry.created) / NS_PER_SECOND,
      idle_seconds: (now - entry.lastSeen) / NS_PER_SECOND,
      packets: entry.packets,
      bytes: entry.bytes,
      moves: front.owners.of(flow),
    });
  });
  return { total, flows };
}
