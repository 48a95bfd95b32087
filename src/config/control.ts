import { resolve } from 'node:path';
import type { ControlSecurity } from './model';
import type { ProblemReport } from './problems';

/** The `control` mapping as written, in what both kinds have in common. */
interface ControlInput {
  readonly insecure?: true;
  readonly tls?: {
    readonly ca: string;
    readonly cert: string;
    readonly key: string;
    readonly allow?: string[];
  };
}

export function checkControl({ insecure, tls }: ControlInput, report: ProblemReport): void {
  if (insecure && tls) report.add(['control'], 'has both "insecure" and "tls": keep one');
  if (!insecure && !tls) report.add(['control'], 'needs either "insecure: true" or "tls"');
}

/** Paths become absolute, relative to the directory of the configuration. */
export function normaliseControl({ tls }: ControlInput, directory: string): ControlSecurity {
  if (!tls) return { insecure: true };
  const absolute = (file: string) => resolve(directory, file);
  const { ca, cert, key, ...rest } = tls;
  return { insecure: false, tls: { ...rest, ca: absolute(ca), cert: absolute(cert), key: absolute(key) } };
}
