import { loadFrontConfig } from '../config/load';
import type { FrontConfig } from '../config/model';
import { formatProblems } from '../config/problems';
import { Front } from '../front/front';
import { createLogger } from '../observe/log';
import type { Command } from './command';
import { runService } from './service';

/** `baton front --config FILE` */
export const front: Command = (args, output) =>
  runService(
    {
      name: 'front',
      load: loadFrontConfig,
      logger: (config) => createLogger({ node: config.node, component: 'front' }),
      start: (config, file, logger, failed) =>
        Front.start(config, { loadConfig: () => reread(file), failed }, logger),
    },
    args,
    output,
  );

function reread(file: string): FrontConfig {
  const loaded = loadFrontConfig(file);
  if (loaded.ok) return loaded.config;
  throw new Error(formatProblems(file, loaded.problems).join('; '));
}
