import type { Logger } from 'pino';
import { importTcpApplication, openAdapter } from '../agent/adapters';
import { Agent, GRACE_MS } from '../agent/agent';
import { loadAgentConfig } from '../config/load';
import { formatProblems } from '../config/problems';
import { createLogger } from '../observe/log';
import type { Command } from './command';
import { runService } from './service';

/** `baton agent --config FILE` */
export const agent: Command = (args, output) =>
  runService(
    {
      name: 'agent',
      load: loadAgentConfig,
      logger: (config) => createLogger({ node: config.node, component: 'agent' }),
      start: async (config, file, logger) => {
        if (config.serve === undefined) throw new Error('serve: is missing');
        const { http, tcp } = config.serve;
        const adapter = http && (await openAdapter(http));
        const services = {
          server: adapter?.server,
          adopt: adapter?.adopt,
          tcp: tcp === undefined ? undefined : await importTcpApplication(tcp),
        };
        const running = await Agent.start(config, services, logger);
        return {
          stop: async () => {
            const deadline = performance.now() + GRACE_MS;
            adapter?.stopListening((socket) => running.hasAdopted(socket));
            await running.stop(deadline);
            await adapter?.close(deadline);
          },
          reload: () => {
            reload(running, file, logger);
            return Promise.resolve();
          },
        };
      },
      supervised: true,
    },
    args,
    output,
  );

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
