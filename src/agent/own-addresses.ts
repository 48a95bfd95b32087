import { networkInterfaces } from 'node:os';
import { parseAddress } from '../kernel/flow';

/** Addresses come and go seldom, and looking takes as long as a restore. */
const REFRESH_MS = 10_000;

/** The addresses of this host, VIPs included, in the 16 bytes of a flow as Latin-1 text. Without those of loopback. */
export class OwnAddresses {
  #addresses: ReadonlySet<string> = new Set();
  #readAt = -Infinity;

  constructor(private readonly list: () => readonly string[] = listAddresses) {}

  has(address: string): boolean {
    const now = performance.now();
    if (now - this.#readAt > REFRESH_MS) {
      this.#readAt = now;
      this.#addresses = new Set(this.list().map((text) => parseAddress(text).toString('latin1')));
    }
    return this.#addresses.has(address);
  }
}

function listAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all
    .map(({ address }) => address.split('%')[0] ?? '')
    .filter((address) => !address.startsWith('127.') && address !== '::1');
}
