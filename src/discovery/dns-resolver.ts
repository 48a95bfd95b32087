import { promises } from 'node:dns';
import { formatEndpoint } from '../config/addresses';
import type { Endpoint } from '../config/model';
import { QueryFailed, type AddressRecord, type Resolver, type ServiceRecord } from './resolver';

/** A resolver that has the answer gives it in milliseconds. The second attempt may be the next server's. */
const TIMEOUT_MS = 1000;
const TRIES = 2;

/** Nothing went wrong: the name does not exist, or has no records of this kind. */
const NOTHING: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA']);

/**
 * Asks a server, or those of /etc/resolv.conf, by c-ares: over UDP, and over TCP what does not fit there. Names are asked for
 * as they stand: neither /etc/hosts nor the list of search domains is looked at. Each resolution has a resolver of its own:
 * it reads /etc/resolv.conf anew, and asks from another port.
 */
export class DnsResolver implements Resolver {
  readonly #resolver = new promises.Resolver({ timeout: TIMEOUT_MS, tries: TRIES });

  constructor(server: Endpoint | undefined) {
    if (server !== undefined) this.#resolver.setServers([formatEndpoint(server)]);
  }

  addresses(name: string, family: 4 | 6): Promise<readonly AddressRecord[]> {
    const options = { ttl: true } as const;
    return family === 4
      ? asked('A', name, this.#resolver.resolve4(name, options))
      : asked('AAAA', name, this.#resolver.resolve6(name, options));
  }

  async services(name: string): Promise<readonly ServiceRecord[]> {
    const records = await asked('SRV', name, this.#resolver.resolveSrv(name));
    return records.map(({ name: target, port, priority, weight }) => ({ target, port, priority, weight }));
  }

  cancel(): void {
    this.#resolver.cancel();
  }
}

async function asked<T>(type: string, name: string, answer: Promise<T[]>): Promise<T[]> {
  try {
    return await answer;
  } catch (cause) {
    const { code = String(cause) } = cause as NodeJS.ErrnoException;
    if (NOTHING.has(code)) return [];
    throw new QueryFailed(`${type} ${name}`, code, { cause });
  }
}
