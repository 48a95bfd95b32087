import { join } from 'node:path';
import type { Host } from '../../../src/lab/host';
import type { LabProcess } from '../../../src/lab/lab-process';

const SCRIPT = join(__dirname, '../clients/background.mjs');
const START_TIMEOUT_MS = 20_000;
const END_TIMEOUT_MS = 60_000;
/** Takes some two seconds. */
const BYTES = 16 * 1024 * 1024;

export interface Transfers {
  /** Transfers of handed-off connections. */
  readonly begun: number;
  /** Of these, with the right checksum. */
  readonly complete: number;
  readonly bytes: number;
  /** What went wrong with the others. */
  readonly failed: readonly string[];
  /** The longest one, ms. */
  readonly longest: number;
}

/** Downloads and uploads from a client host while a test does harm: see clients/background.mjs. */
export class BackgroundTransfers {
  private constructor(private readonly process: LabProcess) {}

  /** Returns when every lane has a transfer under way. */
  static async start(
    host: Host,
    address: string,
    lanes: { readonly downloads: number; readonly uploads: number },
    port = 80,
  ): Promise<BackgroundTransfers> {
    const source = address.includes(':') ? host.address6 : host.address4;
    const argv = [
      process.execPath,
      SCRIPT,
      JSON.stringify({ address, port, source, bytes: BYTES, ...lanes }),
    ];
    const started = host.spawn(argv, { stdio: ['pipe', 'pipe', 'inherit'] });
    await started.waitForLine('started', START_TIMEOUT_MS);
    return new BackgroundTransfers(started);
  }

  /** Begins no more transfers, and returns when those under way have come to their end. */
  async stop(): Promise<Transfers> {
    this.process.endInput();
    return JSON.parse(await this.process.waitForLine('"begun"', END_TIMEOUT_MS)) as Transfers;
  }
}
