import { Type } from '@sinclair/typebox';
import { dirname, resolve } from 'node:path';
import { file, mapping } from './fields';
import { isDirectory } from './files';
import type { AccessLogConfig } from './model';
import type { ProblemReport } from './problems';

/** The `access_log` mapping with its defaults. */
interface AccessLogInput {
  readonly to: 'stdout' | { readonly file: string };
  readonly sample: number;
  readonly errors: boolean;
}

/** A union of types and not `anyOf`, so that a wrong value gets one message. */
const TO = Type.Unsafe<AccessLogInput['to']>({
  ...mapping('Where the lines go: `stdout`, or a file, which SIGHUP opens anew.', {
    file: file('File to append to; a FIFO will do.'),
  }),
  type: ['string', 'object'],
  pattern: '^stdout$',
  default: 'stdout',
  expected: 'stdout or { file: PATH }',
});

export const ACCESS_LOG = mapping('One line of JSON about every request on a handed-off connection.', {
  to: TO,
  sample: Type.Number({
    minimum: 0,
    maximum: 1,
    default: 1,
    description: 'Share of the requests that get a line, by chance.',
    expected: 'a number from 0 to 1',
  }),
  errors: Type.Boolean({
    default: true,
    description: 'Whether every answer with a status of 500 or above gets a line, whatever `sample` says.',
  }),
});

export function checkAccessLog({ to }: AccessLogInput, directory: string, report: ProblemReport): void {
  if (to === 'stdout') return;
  const path = resolve(directory, to.file);
  const at = ['access_log', 'to', 'file'];
  if (isDirectory(path)) report.add(at, `${JSON.stringify(path)} is a directory: name a file in it`);
  else if (!isDirectory(dirname(path)))
    report.add(at, `there is no directory ${JSON.stringify(dirname(path))}: make it first`);
}

export function normaliseAccessLog(
  { to, sample, errors }: AccessLogInput,
  directory: string,
): AccessLogConfig {
  return { ...(to !== 'stdout' && { file: resolve(directory, to.file) }), sample, errors };
}
