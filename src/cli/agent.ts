import type { Logger } from 'pino';
import { importTcpApplication, openAdapter, type Adapter } from '../agent/adapters';
import { Agent, GRACE_MS } from '../agent/agent';
import { Predecessor } from '../agent/predecessor';
import { loadAgentConfig } from '../config/load';
import type { AgentConfig } from '../config/model';
import { formatProblems } from '../config/problems';
import { createLogger } from '../observe/log';
import type { Command } from './command';
import { runService, type Service } from './service';

/**
 * How long connections that cannot be passed to a successor may go on: as long as one request may take where it is relayed
 * (relay/server.ts). Only then, or at a SIGTERM, the agent's grace begins.
 */
const SUCCEEDED_GRACE_MS = 3_600_000;

/** `baton agent --config FILE` */
export const agent: Command = async (args, output) => {
  const predecessor = await Predecessor.meet(process.env);
  return runService(
    {
      name: 'agent',
      load: loadAgentConfig,
      logger: (config) => createLogger({ node: config.node, component: 'agent' }),
      start: (config, file, logger) => start(config, file, logger, predecessor),
      supervised: predecessor === undefined,
      notStarted: (cause) => predecessor?.failed(cause),
    },
    args,
    output,
  );
};

async function start(
  config: AgentConfig,
  file: string,
  logger: Logger,
  predecessor: Predecessor | undefined,
): Promise<Service> {
  if (config.serve === undefined) throw new Error('serve: is missing');
  const { http, tcp } = config.serve;
  const adapter = http && (await openAdapter(http, predecessor?.sockets));
  const services = {
    server: adapter?.server,
    adopt: adapter?.adopt,
    tcp: tcp === undefined ? undefined : await importTcpApplication(tcp),
  };
  const origin = { predecessor, ordinary: adapter?.ordinary };
  const running = await Agent.start(config, services, logger, origin);
  let hurried = false;
  return {
    stop: async () => {
      adapter?.stopListening((socket) => running.hasAdopted(socket));
      if (running.succeeded) await retire(running, adapter, () => !hurried);
      const deadline = performance.now() + GRACE_MS;
      await running.stop(deadline);
      await adapter?.close(deadline);
    },
    hurry: () => (hurried = true),
    reload: () => {
      reload(running, file, logger);
      return Promise.resolve();
    },
    succeed: () => running.succeed(),
  };
}

/** Waits while there are connections that the successor has not got, ordinary ones too. */
async function retire(running: Agent, adapter: Adapter | undefined, patient: () => boolean): Promise<void> {
  const until = performance.now() + SUCCEEDED_GRACE_MS;
  const goesOn = (): boolean => patient() && performance.now() < until && !running.orphaned;
  await Promise.all([running.retire(goesOn), adapter?.settle(goesOn)]);
}

function reload(agent: Agent, file: string, logger: Logger): void {
  try {
    const loaded = loadAgentConfig(file);
    if (!loaded.ok) throw new Error(formatProblems(file, loaded.problems).join('; '));
    const closed = agent.reload(loaded.config);
    logger.info({ channels_closed: closed }, 'configuration reloaded');
  } catch (error) {
    logger.error({ cause: String(error) }, 'reload failed, the old configuration stays');
    reopen(agent, logger);
  }
}

/** Who rotates files asks with the same signal, and does not care about the configuration. */
function reopen(agent: Agent, logger: Logger): void {
  try {
    agent.reopenAccessLog();
  } catch (error) {
    logger.error({ cause: String(error) }, 'access log not opened anew, the old file goes on');
  }
}
