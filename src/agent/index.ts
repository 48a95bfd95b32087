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
 * The server gets adopted connections as ordinary ones: `req.socket.remoteAddress` is the client's. Connections without a head
 * (`protocol: tcp`), and those that come with the state of an application, are adopted:
 *
 *   await attach(server, config, { adopt: (connection, state) => ... });
 *   await attach(undefined, config, { tcp: { adopt: (connection, state) => ... } });
 */
import type { Logger } from 'pino';
import { parseAgentConfigObject } from '../config/load';
import type { AgentConfig } from '../config/model';
import { createLogger } from '../observe/log';
import { serverOf, type Application } from './adapters';
import { Agent } from './agent';
import type { Adopt, TcpApplication } from './tcp-connection';

export type { Agent, Application };
export { connectionOf } from './connection-of';
export type { Adopt, ConnectionEnd, State, TcpApplication, TcpConnection } from './tcp-connection';

export interface AttachOptions {
  /** Where the agent logs; JSON lines to stdout unless given. */
  readonly logger?: Logger;
  /** Takes HTTP connections that come with the state of an application, a WebSocket that was moved for one. */
  readonly adopt?: Adopt;
  /** Takes connections without a head; without it their offers are rejected. */
  readonly tcp?: TcpApplication;
}

/**
 * Attaches an agent to an application: a (req, res) handler, an http.Server or a Fastify instance; undefined for a service that
 * has `tcp` alone. `config` has the keys
 * of agent.yaml without `serve`. Resolves when fronts may connect; throws an Error with one line per problem of the
 * configuration, or the step that failed.
 */
export async function attach(
  application: Application | undefined,
  config: unknown,
  options: AttachOptions = {},
): Promise<Agent> {
  const checked = configOf(config);
  const { adopt, tcp, logger = createLogger({ node: checked.node, component: 'agent' }) } = options;
  if (application === undefined && tcp === undefined)
    throw new Error('attach: neither an application nor options.tcp is given, so nobody would serve');
  const server = application && (await serverOf(application));
  return Agent.start(checked, { server, adopt, tcp }, logger);
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
