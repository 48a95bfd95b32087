import { loadFrontConfig } from '../config/load';
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
      start: (config, _file, logger, failed) => Front.start(config, logger, failed),
    },
    args,
    output,
  );
