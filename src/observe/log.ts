import { pino, type Logger } from 'pino';
import type { Component } from './catalogue';

const STDOUT = 1;

/**
 * A logger that writes one JSON object a line to stdout, with `time` in ISO 8601 and `level` as text.
 * The level is `options.level`, or the environment's BATON_LOG_LEVEL, or `info`.
 * @throws Error naming the level and its alternatives when the level is unknown.
 */
export function createLogger(options: {
  readonly node: string;
  readonly component: Component;
  readonly level?: string;
}): Logger {
  const level = options.level ?? process.env.BATON_LOG_LEVEL ?? 'info';
  assertLevel(level);
  return pino(
    {
      level,
      base: { node: options.node, component: options.component },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    // Synchronous, because the last line before an exit says why, and a buffer would take it to the grave.
    pino.destination({ dest: STDOUT, sync: true }),
  );
}

/** A logger that drops everything. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}

function assertLevel(level: string): void {
  const known = [...Object.keys(pino.levels.values), 'silent'];
  if (!known.includes(level)) {
    throw new Error(`log level "${level}" is unknown: set BATON_LOG_LEVEL to one of ${known.join(', ')}`);
  }
}
