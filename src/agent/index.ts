/**
 * `baton/agent`: makes a Node service its own agent.
 *
 *   import { attach } from 'baton/agent';
 *   const agent = await attach(server, { node: 'b1', control: { listen: '198.18.0.21:7400', insecure: true },
 *                                        vips: ['198.19.0.1'] });
 *   ...
 *   reload(agent, config);   // other certificates or fronts, the access log's file anew; what else has changed is an error
 *   await agent.stop();
 *
 * The server gets adopted connections as ordinary ones: `req.socket.remoteAddress` is the client's.
 */
import type { Logger } from 'pino';
import { parseAgentConfigObject } from '../config/load';
import type { AgentConfig } from '../config/model';
import { createLogger } from '../observe/log';
import { serverOf, type Application } from './adapters';
import { Agent } from './agent';

export type { Agent, Application };

export interface AttachOptions {
  /** Where the agent logs; JSON lines to stdout unless given. */
  readonly logger?: Logger;
}

/**
 * Attaches an agent to an application: a (req, res) handler, an http.Server or a Fastify instance. `config` has the keys
 * of agent.yaml without `serve`. Resolves when fronts may connect; throws an Error with one line per problem of the
 * configuration, or the step that failed.
 */
export async function attach(
  application: Application,
  config: unknown,
  options: AttachOptions = {},
): Promise<Agent> {
  const checked = configOf(config);
  const logger = options.logger ?? createLogger({ node: checked.node, component: 'agent' });
  return Agent.start(checked, await serverOf(application), logger);
}

/**
 * Reads the files of a configuration anew and takes over what may change in a running agent: see Agent.reload. Returns how
 * many channels it closed; throws an Error with the reason, and everything stays as it was.
 */
export function reload(agent: Agent, config: unknown): number {
  return agent.reload(configOf(config));
}

function configOf(value: unknown): AgentConfig {
  const loaded = parseAgentConfigObject(value);
  if (loaded.ok) return loaded.config;
  throw new Error(`agent configuration: ${loaded.problems.map(({ message }) => message).join('\n')}`);
}
