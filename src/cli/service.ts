import type { Logger } from 'pino';
import { formatProblems, type Loaded } from '../config/problems';
import { tellServiceManager } from './service-manager';
import { configArgument, EXIT_DONE, EXIT_FAILED, EXIT_USAGE, type Output } from './command';

/** A running front or agent. */
export interface Service {
  stop(): Promise<void>;
  /** Makes a `stop` under way come to its end soon. */
  hurry?(): void;
  /** Says in the log what came of it. */
  reload(): Promise<void>;
  /** Starts a process that takes over, and resolves with its pid when it does; undefined when the log says why not. */
  succeed(): Promise<number | undefined>;
}

/** What the commands that run in the foreground differ in. */
export interface ServiceKind<C> {
  readonly name: 'front' | 'agent';
  load(file: string): Loaded<C>;
  logger(config: C): Logger;
  /** `failed` ends the process: something broke that a restart mends. */
  start(config: C, file: string, logger: Logger, failed: (message: string) => void): Promise<Service>;
  /** Whether the service manager waits for this process, and not for another one that will speak for it. */
  readonly supervised: boolean;
  /** Passes on why the service has not started. */
  notStarted?(cause: string): Promise<void> | undefined;
}

/**
 * Runs a service until SIGTERM or SIGINT; SIGHUP reloads, SIGUSR2 puts a successor in its place. Configuration problems go
 * to stderr, one a line.
 */
export async function runService<C>(kind: ServiceKind<C>, args: string[], output: Output): Promise<number> {
  const file = configArgument(args);
  if (file === undefined) {
    output.stderr.write(`usage: baton ${kind.name} --config FILE\n`);
    return EXIT_USAGE;
  }
  const loaded = kind.load(file);
  if (!loaded.ok) {
    const problems = formatProblems(file, loaded.problems);
    output.stderr.write(problems.join('\n') + '\n');
    await kind.notStarted?.(problems.join('; '));
    return EXIT_FAILED;
  }
  const logger = kind.logger(loaded.config);
  logWarnings(logger);
  return new Promise<number>((resolve) => {
    let service: Service | undefined;
    let ended: Promise<void> | undefined;
    const stop = async (code: number): Promise<void> => {
      try {
        await service?.stop();
        resolve(code);
      } catch (error) {
        logger.error({ cause: String(error) }, 'stop failed');
        resolve(EXIT_FAILED);
      }
    };
    const end = (code: number): Promise<void> => (ended ??= stop(code));
    const failed = (message: string): void => {
      logger.fatal({ cause: message }, `${kind.name} failed`);
      void end(EXIT_FAILED);
    };
    const onSignal = (signal: string): void => {
      logger.info({ signal }, 'stopping');
      if (ended !== undefined) {
        service?.hurry?.();
        return;
      }
      tellServiceManager('STOPPING=1', logger);
      void end(EXIT_DONE).then(() => logger.info('stopped'));
    };
    const onSuccession = async (): Promise<void> => {
      if (service === undefined) {
        logger.warn('no successor: this process is starting');
        return;
      }
      if (ended !== undefined) {
        logger.warn('no successor: this process is stopping');
        return;
      }
      const successor = await service.succeed();
      if (successor === undefined) return;
      tellServiceManager(`MAINPID=${successor}`, logger);
      await end(EXIT_DONE);
      logger.info({ successor }, 'stopped');
    };
    // A defect. What it left behind cannot be known, so the process ends, in order and with a line in the log.
    process.on('uncaughtException', (error) => failed(error.stack ?? error.message));
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
    process.on('SIGHUP', () => {
      service?.reload().catch(() => undefined);
    });
    process.on('SIGUSR2', () => void onSuccession());
    kind.start(loaded.config, file, logger, failed).then(
      (started) => {
        service = started;
        if (kind.supervised) tellServiceManager('READY=1', logger);
        // A signal came while starting.
        if (ended !== undefined) void started.stop();
      },
      async (error: unknown) => {
        const message = error instanceof Error ? error.message : String(error);
        await kind.notStarted?.(message);
        failed(message);
      },
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
