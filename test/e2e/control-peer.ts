import { join } from 'node:path';
import { makeFlow } from '../../src/kernel/flow';
import type { Host } from '../../src/lab/host';
import type { LabProcess } from '../../src/lab/lab-process';
import { VIP4 } from '../../src/lab/topology';
import { makeSnapshot } from '../repair/snapshots';

const SCRIPT = join(__dirname, 'clients', 'control-peer.mjs');
const PATIENCE_MS = 15_000;
/** The lowest port of the clients that are not there. */
export const FIRST_PORT = 20_000;

/** See clients/control-peer.mjs. */
export interface PeerOptions {
  readonly tls?: Partial<Record<'ca' | 'cert' | 'key', string>>;
  readonly plain?: boolean;
  readonly maxVersion?: string;
  readonly node?: string;
  readonly channels?: number;
}

export interface PeerResult {
  readonly greeted: number;
  readonly prepared: number;
  readonly rejected: number;
  readonly byes: readonly string[];
  readonly errors: readonly string[];
  readonly fingerprint?: string;
}

/** Whoever says to an agent that it is a front: every channel offers a connection that the agent could build. */
export class ControlPeer {
  private constructor(private readonly process: LabProcess) {}

  /** Returns when every offer is answered, or its channel over. */
  static async start(from: Host, agent: Host, options: PeerOptions): Promise<ControlPeer> {
    const { channels = 1, node = 'front-1', ...others } = options;
    const snapshots = Array.from({ length: channels }, (_, k) =>
      makeSnapshot({
        flow: makeFlow(from.address4, FIRST_PORT + k, VIP4, 80),
        queues: [0, 0, 0],
      }).toString('base64'),
    );
    const said = JSON.stringify({ host: agent.address4, port: 7400, node, snapshots, ...others });
    const started = from.spawn([process.execPath, SCRIPT, said], { stdio: ['pipe', 'pipe', 'inherit'] });
    await started.waitForLine('settled', PATIENCE_MS);
    return new ControlPeer(started);
  }

  /** What came of it, when the agent has closed all channels. */
  async over(): Promise<PeerResult> {
    return JSON.parse(await this.process.waitForLine('"greeted"', PATIENCE_MS)) as PeerResult;
  }

  /** Closes the channels that are open. */
  close(): Promise<PeerResult> {
    this.process.endInput();
    return this.over();
  }
}
