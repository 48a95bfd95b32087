import { loadFrontConfig } from '../config/load';
import type { FrontConfig } from '../config/model';
import { formatProblems } from '../config/problems';
import { Front } from '../front/front';
import { Predecessor } from '../front/predecessor';
import { createLogger } from '../observe/log';
import { InheritedSockets } from '../succession/inherited-sockets';
import type { Command } from './command';
import { runService } from './service';

/** `baton front --config FILE` */
export const front: Command = async (args, output) => {
  const predecessor = await Predecessor.meet(process.env);
  return runService(
    {
      name: 'front',
      load: loadFrontConfig,
      logger: (config) => createLogger({ node: config.node, component: 'front' }),
      start: async (config, file, logger, failed) => {
        const sockets = predecessor?.sockets ?? InheritedSockets.fromServiceManager(process.env);
        const events = { loadConfig: () => reread(file), failed };
        return Front.start(config, events, logger, { sockets, predecessor });
      },
      supervised: predecessor === undefined,
      notStarted: (cause) => predecessor?.failed(cause),
    },
    args,
    output,
  );
};

function reread(file: string): FrontConfig {
  const loaded = loadFrontConfig(file);
  if (loaded.ok) return loaded.config;
  throw new Error(formatProblems(file, loaded.problems).join('; '));
}
