import { join } from 'node:path';
import { LabProcess, type SpawnOptions } from '../../src/lab/lab-process';

/** What a zone has for `NAME/TYPE`; see name-server.cjs. */
export type ZoneEntry =
  | {
      readonly ttl: number;
      readonly data: readonly (
        string | readonly [priority: number, weight: number, port: number, target: string]
      )[];
    }
  | 'SERVFAIL'
  | 'REFUSED'
  | 'silence';
export type Zone = Readonly<Record<string, ZoneEntry>>;

type Spawn = (argv: readonly string[], options: SpawnOptions) => LabProcess;

const SCRIPT = join(__dirname, 'name-server.cjs');
const PATIENCE_MS = 10_000;

/** A name server of its own process, which answers by what it was told last. */
export class DnsServer {
  #zones = 0;

  private constructor(
    private readonly program: LabProcess,
    readonly address: string,
    readonly port: number,
  ) {}

  /** `spawn` starts it where it shall be: on a host of a lab, or here. */
  static async start(
    address = '127.0.0.1',
    port = 0,
    spawn: Spawn = (argv, options) => new LabProcess(argv, options),
  ): Promise<DnsServer> {
    const argv = [process.execPath, SCRIPT, address, String(port)];
    const program = spawn(argv, { stdio: ['pipe', 'pipe', 'inherit'] });
    const line = await program.waitForLine('listening ', PATIENCE_MS);
    return new DnsServer(program, address, Number(line.split(' ')[1]));
  }

  /** Returns when it answers by this zone. */
  async set(zone: Zone): Promise<void> {
    this.program.write(`${JSON.stringify(zone)}\n`);
    this.#zones += 1;
    const told = `zone ${this.#zones}`;
    await this.program.waitForLine((line) => line === told, PATIENCE_MS);
  }

  /** What it was asked lately: `api.internal/A udp`. */
  get asked(): string[] {
    return this.program.lines.flatMap((line) => (line.startsWith('asked ') ? [line.slice(6)] : []));
  }

  async stop(): Promise<void> {
    await this.program.stop();
  }
}
