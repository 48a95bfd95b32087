import type { Host } from '../../src/lab/host';

/** Rules of nft on a host of a lab: packets that match are dropped, without a word to either side. */
export class Firewall {
  static readonly #TABLE = 'inet cut';

  constructor(private readonly host: Host) {}

  /** Drops incoming packets that match any of these expressions (nft(8)), outgoing ones likewise. */
  async drop(rules: {
    readonly incoming?: readonly string[];
    readonly outgoing?: readonly string[];
  }): Promise<void> {
    const chain = (hook: string, matches: readonly string[] = []): string =>
      [
        `chain ${hook} { type filter hook ${hook} priority 0; policy accept;`,
        ...matches.map((match) => `${match} counter drop`),
        '}',
      ].join('\n');
    const { incoming, outgoing } = rules;
    await this.#nft(
      `table ${Firewall.#TABLE} {\n${chain('input', incoming)}\n${chain('output', outgoing)}\n}\n`,
    );
  }

  /** Packets dropped so far: a test that cut nothing shows nothing. */
  async dropped(): Promise<number> {
    const { stdout } = await this.host.run(['nft', 'list', 'table', ...Firewall.#TABLE.split(' ')]);
    return [...stdout.matchAll(/counter packets (\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
  }

  /** Lets everything through again. */
  async open(): Promise<void> {
    await this.#nft(`delete table ${Firewall.#TABLE}\n`);
  }

  async #nft(script: string): Promise<void> {
    const { code, stderr } = await this.host.run(['nft', '-f', '-'], { input: script });
    if (code !== 0) throw new Error(`nft on ${this.host.name}: ${stderr}`);
  }
}
