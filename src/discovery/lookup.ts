/**
 * One resolution of a name:
 *
 *   addresses   A and AAAA   each address is a member
 *   services    SRV          each target of the best priority is a member; A and AAAA of each tell where it is
 *
 * All or nothing: where one question fails, the resolution does, or a lost packet would take backends away.
 */
import { MAX_MEMBERS, memberAddress, nameOfAddress, nameOfTarget, type Member } from './member';
import type { AddressRecord, Resolver, ServiceRecord } from './resolver';

/** What DNS is asked. */
export interface Question {
  readonly dns: string;
  readonly records: 'addresses' | 'services';
  /** Of the listeners, ascending. */
  readonly families: readonly (4 | 6)[];
  /** Whether backends may be on loopback: where a listener is. */
  readonly loopback: boolean;
}

export interface Answer {
  /** In the order of their names. */
  readonly members: readonly Member[];
  /** Seconds that all of it may be believed. Of SRV records Node does not tell, so it is that of the targets' addresses. */
  readonly ttl: number;
  /** What was not taken, a sentence each, in an order of their own. */
  readonly refused: readonly string[];
}

/** Questions about targets under way at once: a thousand of them would be a burst that resolvers drop. */
const PARALLEL = 16;
/** SRV weights have 16 bits, those of backends go up to this. */
const MAX_WEIGHT = 1000;

/** Rejects with the QueryFailed of the question that failed first; the others may be under way still. */
export async function lookUp(question: Question, resolver: Resolver): Promise<Answer> {
  const lookup = new Lookup(question, resolver);
  const members = await (question.records === 'addresses' ? lookup.addresses() : lookup.services());
  const ttl = lookup.ttl === Infinity ? 0 : lookup.ttl;
  return { members, ttl, refused: [...lookup.refused].sort() };
}

class Lookup {
  readonly refused = new Set<string>();
  ttl = Infinity;

  constructor(
    private readonly question: Question,
    private readonly resolver: Resolver,
  ) {}

  async addresses(): Promise<Member[]> {
    const found = await this.#addressesOf(this.question.dns);
    const members = found.map((address) => ({ name: nameOfAddress(address.host), addresses: [address] }));
    return this.#bounded(members);
  }

  async services(): Promise<Member[]> {
    const services = this.#bounded(this.#best(await this.resolver.services(this.question.dns)));
    const members: Member[] = [];
    const rest = services[Symbol.iterator]();
    const work = async (): Promise<void> => {
      for (const service of rest) {
        const addresses = await this.#addressesOf(service.name);
        // One per family, and the same one whatever the order of the answer.
        const first = this.question.families.flatMap(
          (family) => addresses.find((address) => address.family === family) ?? [],
        );
        if (first.length > 0) members.push({ ...service, addresses: first });
        else this.refused.add(`target ${service.name} has no address`);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
    return members.sort(byName);
  }

  /** The addresses of a name that can be used, each once, in the order of their spelling. */
  async #addressesOf(name: string): Promise<Member['addresses']> {
    const { families } = this.question;
    const answers = await Promise.all(families.map((family) => this.resolver.addresses(name, family)));
    return families.flatMap((family, index) => this.#usable(name, family, answers[index] ?? []));
  }

  #usable(name: string, family: 4 | 6, records: readonly AddressRecord[]): Member['addresses'][number][] {
    const usable = new Map<string, Member['addresses'][number]>();
    for (const { address: text, ttl } of records) {
      this.ttl = Math.min(this.ttl, ttl);
      const address = memberAddress(text, family, this.question.loopback);
      if (typeof address === 'string') this.refused.add(`${JSON.stringify(text)} of ${name} ${address}`);
      else usable.set(address.host, address);
    }
    return [...usable.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
  }

  /** The services of the best priority that can be backends, each once. */
  #best(records: readonly ServiceRecord[]): { name: string; port: number; weight: number }[] {
    const valid = records.flatMap((record) => {
      // "A Target of "." means that the service is decidedly not available" (RFC 2782).
      if (record.target === '.' || record.target === '') return [];
      const name = nameOfTarget(record.target);
      if (name !== undefined && record.port > 0) return [{ ...record, name }];
      const target = JSON.stringify(record.target.slice(0, 100));
      this.refused.add(
        name === undefined ? `target ${target} cannot be a backend's name` : `target ${target} has port 0`,
      );
      return [];
    });
    const priority = valid.reduce((best, record) => Math.min(best, record.priority), Infinity);
    const best = valid.filter((record) => record.priority === priority);
    const services = new Map<string, { name: string; port: number; weight: number }>();
    // A backend's name is its agent's, so a host has one; the order of the records shall not decide which.
    for (const { name, port, weight } of best.sort((a, b) => a.port - b.port)) {
      const known = services.get(name);
      if (known === undefined) services.set(name, { name, port, weight });
      else if (known.port === port) known.weight += weight;
      else this.refused.add(`target ${name} has a second port, ${port}: a backend has one agent`);
    }
    return scaled([...services.values()]);
  }

  #bounded<T extends { readonly name: string }>(all: T[]): T[] {
    if (all.length > MAX_MEMBERS)
      this.refused.add(`${all.length} backends are more than ${MAX_MEMBERS}: the rest is left out`);
    return all.sort(byName).slice(0, MAX_MEMBERS);
  }
}

/**
 * SRV weights as those of backends: relative to each other, up to MAX_WEIGHT. Where all are 0 there is "no server selection
 * to do" (RFC 2782), and all are the same; beside others 0 takes none, as in a configuration.
 */
function scaled<T extends { weight: number }>(services: T[]): T[] {
  const heaviest = services.reduce((most, { weight }) => Math.max(most, weight), 0);
  const scale = Math.min(1, MAX_WEIGHT / heaviest);
  for (const service of services) {
    if (heaviest === 0) service.weight = 1;
    else if (service.weight > 0) service.weight = Math.max(1, Math.round(service.weight * scale));
  }
  return services;
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}
