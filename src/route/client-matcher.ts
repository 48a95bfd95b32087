import { formatAddress } from '../kernel/flow';
import type { MatchedHead } from './matched-head';
import type { Matcher } from './matcher';
import { Network } from './network';
import { anyOf } from './words';

export class ClientMatcher implements Matcher {
  readonly name = 'client';
  private readonly networks: readonly Network[];

  /** Throws a RangeError for what is no address or network. */
  constructor(texts: readonly string[]) {
    this.networks = texts.map((text) => {
      const network = Network.parse(text);
      if (network === undefined) throw new RangeError(`not an address or network: ${text}`);
      return network;
    });
  }

  matches(head: MatchedHead): boolean {
    const client = head.client;
    for (const network of this.networks) {
      if (network.holds(client)) return true;
    }
    return false;
  }

  failure(head: MatchedHead): string {
    return `${formatAddress(head.client)} is not in ${anyOf(this.networks.map(String))}`;
  }
}
