import type { Logger } from 'pino';
import { formatProblems, type Loaded } from '../config/problems';
import { configArgument, EXIT_DONE, EXIT_FAILED, EXIT_USAGE, type Output } from './command';

/** A running front or agent. */
export interface Service {
  stop(): Promise<void>;
  /** Says in the log what came of it. */
  reload(): Promise<void>;
}

/** What the commands that run in the foreground differ in. */
export interface ServiceKind<C> {
  readonly name: 'front' | 'agent';
  load(file: string): Loaded<C>;
  logger(config: C): Logger;
  /** `failed` ends the process: something broke that a restart mends. */
  start(config: C, file: string, logger: Logger, failed: (message: string) => void): Promise<Service>;
}

/** Runs a service until SIGTERM or SIGINT; SIGHUP reloads. Configuration problems go to stderr, one a line. */
export async function runService<C>(kind: ServiceKind<C>, args: string[], output: Output): Promise<number> {
  const file = configArgument(args);
  if (file === undefined) {
    output.stderr.write(`usage: baton ${kind.name} --config FILE\n`);
    return EXIT_USAGE;
  }
  const loaded = kind.load(file);
  if (!loaded.ok) {
    output.stderr.write(formatProblems(file, loaded.problems).join('\n') + '\n');
    return EXIT_FAILED;
  }
  const logger = kind.logger(loaded.config);
  logWarnings(logger);
  return new Promise<number>((resolve) => {
    let service: Service | undefined;
    let ending = false;
    const end = async (code: number): Promise<void> => {
      if (ending) return;
      ending = true;
      try {
        await service?.stop();
        resolve(code);
      } catch (error) {
        logger.error({ cause: String(error) }, 'stop failed');
        resolve(EXIT_FAILED);
      }
    };
    const failed = (message: string): void => {
      logger.fatal({ cause: message }, `${kind.name} failed`);
      void end(EXIT_FAILED);
    };
    const onSignal = (signal: string): void => {
      logger.info({ signal }, 'stopping');
      void end(EXIT_DONE).then(() => logger.info('stopped'));
    };
    // A defect. What it left behind cannot be known, so the process ends, in order and with a line in the log.
    process.on('uncaughtException', (error) => failed(error.stack ?? error.message));
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
    process.on('SIGHUP', () => {
      service?.reload().catch(() => undefined);
    });
    kind.start(loaded.config, file, logger, failed).then(
      (started) => {
        service = started;
        // A signal came while starting.
        if (ending) void started.stop();
      },
      (error: unknown) => failed(error instanceof Error ? error.message : String(error)),
    );
  }).then((code) => {
    // What is left (an app's own timers, a stuck socket) must not keep a stopped service alive.
    setImmediate(() => process.exit(code));
    return code;
  });
}

/** Node's own warnings become lines of the log: Node writes them to stderr in a way that waits for the reader. */
function logWarnings(logger: Logger): void {
  process.removeAllListeners('warning');
  process.on('warning', ({ name, message }) =>
    logger.warn({ cause: `${name}: ${message}` }, 'warning of Node'),
  );
}
