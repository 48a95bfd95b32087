import {
  QueryFailed,
  type AddressRecord,
  type Resolver,
  type ServiceRecord,
} from '../../src/discovery/resolver';
import type { Zone } from '../lab/dns-server';

/** Answers from a zone as the name server of lab/ does, without a network. */
export class MemoryResolver implements Resolver {
  readonly asked: string[] = [];
  cancelled = false;
  mostAtOnce = 0;
  #underway = 0;
  readonly #waiting = new Set<() => void>();

  constructor(private readonly zone: Zone) {}

  async addresses(name: string, family: 4 | 6): Promise<AddressRecord[]> {
    const { ttl, data } = await this.#ask(name, family === 4 ? 'A' : 'AAAA');
    return data.map((address) => ({ address: address as string, ttl }));
  }

  async services(name: string): Promise<ServiceRecord[]> {
    const { data } = await this.#ask(name, 'SRV');
    return (data as [number, number, number, string][]).map(([priority, weight, port, target]) => ({
      priority,
      weight,
      port,
      target,
    }));
  }

  cancel(): void {
    this.cancelled = true;
    for (const reject of this.#waiting) reject();
  }

  /** An alias makes an answer as short-lived as itself. */
  async #ask(name: string, type: string): Promise<{ ttl: number; data: readonly unknown[] }> {
    this.asked.push(`${name}/${type}`);
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#underway);
    await Promise.resolve();
    this.#underway -= 1;
    const found = this.zone[`${name}/${type}`];
    const alias = this.zone[`${name}/CNAME`];
    if (found === undefined && typeof alias === 'object') {
      const { ttl, data } = await this.#ask(alias.data[0] as string, type);
      return { ttl: Math.min(ttl, alias.ttl), data };
    }
    if (typeof found === 'object') return found;
    if (found === undefined) return { ttl: 0, data: [] };
    const failed = (code: string): QueryFailed => new QueryFailed(`${type} ${name}`, code);
    if (found !== 'silence') throw failed(`E${found}`);
    return new Promise((_, reject) => {
      this.#waiting.add(() => reject(failed('ECANCELLED')));
    });
  }
}
