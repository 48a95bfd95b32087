import { resolve } from 'node:path';
import type { ControlSecurity, Credentials } from './model';
import type { ProblemReport } from './problems';

/** The names of the files of `control.tls`, as written. */
export interface TlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** The `control` mapping as written, in what both kinds have in common. */
interface ControlInput {
  readonly insecure?: true;
  readonly tls?: TlsFiles & { readonly allow?: string[] };
}

/** What a node says when it starts with `insecure: true`. */
export const INSECURE_WARNING =
  "control.insecure: the control channel is plain TCP, so whoever reaches an agent's port can make it build connections " +
  'and can read what clients send: set control.tls (`baton certs` makes certificates), or let only the fronts reach it';

export function checkControl({ insecure, tls }: ControlInput, report: ProblemReport): void {
  if (insecure && tls) report.add(['control'], 'has both "insecure" and "tls": keep one');
  if (!insecure && !tls) report.add(['control'], 'needs either "insecure: true" or "tls"');
}

/** Paths become absolute, relative to the directory of the configuration; `pem` is what the files hold. */
export function normaliseControl(
  { tls }: ControlInput,
  directory: string,
  pem: Credentials | undefined,
): ControlSecurity {
  if (!tls) return { insecure: true };
  // Without this a mistake in the order of the stages would open the channel to everybody.
  if (!pem) throw new Error('normalise: the certificates have not been read');
  const absolute = (file: string) => resolve(directory, file);
  const { ca, cert, key, ...rest } = tls;
  const files = { ca: absolute(ca), cert: absolute(cert), key: absolute(key) };
  return { insecure: false, tls: { ...rest, ...files, pem } };
}
