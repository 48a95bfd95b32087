import { openAdapter } from '../agent/adapters';
import { Agent } from '../agent/agent';
import { loadAgentConfig } from '../config/load';
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
      start: async (config, _file, logger) => {
        if (config.serve === undefined) throw new Error('serve: is missing');
        const adapter = await openAdapter(config.serve);
        const running = await Agent.start(config, adapter.server, logger);
        return {
          stop: async () => {
            await running.stop();
            await adapter.close();
          },
          reload: () => {
            logger.warn('an agent reloads nothing yet: restart it to apply changes');
            return Promise.resolve();
          },
        };
      },
    },
    args,
    output,
  );
