import { pino, type Logger } from 'pino';
import type { Component } from './catalogue';
import { takeFromLane, type LaneCounters } from './log-lane';
import { LogOutput, type DropReport } from './log-output';

/** Takes lines with their line ends. */
export interface LogSink {
  write(line: string): void;
}

interface Speaker {
  readonly node: string;
  readonly component: Component;
}

interface LoggerOptions extends Speaker {
  readonly level?: string;
  /** Where lines go; standard output, unless a worker thread has another way. */
  readonly to?: LogSink;
}

/** A pipe holds 64 KiB, so longer waits would only fill it. */
const BESIDE_COLLECT_MS = 10;

/** A process has one standard output, whoever logs there: two writers would tear each other's lines. */
let stdout: LogOutput | undefined;

/**
 * A logger that writes one JSON object a line to stdout, with `time` in ISO 8601 and `level` as text. It never waits for
 * who reads that, see LogOutput. The `pid` tells a front from its successor, which writes to the same place. The level is `options.level`, or the environment's BATON_LOG_LEVEL, or `info`.
 * @throws Error naming the level and its alternatives when the level is unknown.
 */
export function createLogger(options: LoggerOptions): Logger {
  const level = options.level ?? process.env.BATON_LOG_LEVEL ?? 'info';
  assertLevel(level);
  return loggerTo(options.to ?? (stdout ??= LogOutput.stdout(dropReport(options))), options, level);
}

/** A logger that drops everything. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}

/**
 * A way to standard output for lines that are no log: they wait where the log has the way to itself, have a bound of their
 * own, and share writes.
 */
export function besideLog(speaker: Speaker, report: DropReport): LogOutput {
  stdout ??= LogOutput.stdout(dropReport(speaker));
  return new LogOutput(stdout.yieldTo, report, { collectMs: BESIDE_COLLECT_MS });
}

/** A line that a worker thread sent. */
export function logFromWorker(counters: LaneCounters, line: string): void {
  if (stdout !== undefined) takeFromLane(counters, line, stdout);
}

/** Lines that did not get out of this process since it began. */
export function droppedLines(): number {
  return stdout?.dropped ?? 0;
}

function loggerTo(sink: LogSink, { node, component }: Speaker, level: string): Logger {
  return pino(
    {
      level,
      base: { node, component, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    sink,
  );
}

/** Lines that report lost ones look like all others. */
function dropReport(speaker: Speaker): DropReport {
  let line = '';
  const logger = loggerTo({ write: (text) => (line = text) }, speaker, 'warn');
  return (lines, cause) => {
    logger.warn({ lines, cause }, 'log lines were dropped');
    return line;
  };
}

function assertLevel(level: string): void {
  const known = [...Object.keys(pino.levels.values), 'silent'];
  if (!known.includes(level)) {
    throw new Error(`log level "${level}" is unknown: set BATON_LOG_LEVEL to one of ${known.join(', ')}`);
  }
}
