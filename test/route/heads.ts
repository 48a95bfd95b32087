import { parseAddress } from '../../src/kernel/flow';
import type { Asker, RoutableHead } from '../../src/peek/head';

export type HeadParts = Partial<Omit<RoutableHead, 'header'>> & {
  readonly headers?: Readonly<Record<string, string>>;
};

/** A head with these parts; the names of headers in lower case. */
export function headOf({ headers = {}, ...parts }: HeadParts): RoutableHead {
  const defaults = { method: 'GET', host: 'a.example', path: '/', query: '' };
  return { ...defaults, ...parts, header: (name) => headers[name] };
}

export function clientAt(address: string): Asker {
  return { client: parseAddress(address), listener: 'web' };
}

/** For heads whose client does not matter. */
export const CLIENT = clientAt('198.18.0.5');
