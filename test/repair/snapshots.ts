import { makeFlow } from '../../src/kernel/flow';
import * as layout from '../../src/repair/layout';

export interface SnapshotParts {
  readonly flow?: Buffer;
  readonly options?: number;
  readonly scales?: readonly [client: number, ours: number];
  readonly mss?: number;
  readonly flags?: number;
  /** Bytes: the client's last window, its largest, ours. */
  readonly windows?: readonly [client: number, largest: number, ours: number];
  readonly queues?: readonly [receive: number, sent: number, unsent: number];
  /** Bytes of the application's state. */
  readonly state?: number;
}

/** A snapshot that is well formed unless its parts say otherwise; no connection stands behind it. */
export function makeSnapshot(parts: SnapshotParts = {}): Buffer {
  const flow = parts.flow ?? makeFlow('198.18.1.1', 40000, '198.19.0.1', 80);
  const [receive, sent, unsent] = parts.queues ?? [10, 20, 30];
  const bytes = Buffer.alloc(layout.HEADER_BYTES + receive + sent + unsent + (parts.state ?? 0), 0x61);
  bytes[layout.VERSION] = layout.SNAPSHOT_VERSION;
  bytes[layout.OPTIONS] = parts.options ?? 7;
  const [client, ours] = parts.scales ?? [7, 9];
  bytes[layout.CLIENT_WINDOW_SCALE] = client;
  bytes[layout.OUR_WINDOW_SCALE] = ours;
  bytes.writeUInt16BE(parts.mss ?? 1460, layout.MSS);
  bytes.writeUInt16BE((parts.flags ?? 0) << 8, layout.FLAGS);
  flow.copy(bytes, layout.FLOW);
  (parts.windows ?? [60_000, 65_535, 65_535]).forEach((window, index) => {
    bytes.writeUInt32BE(window, layout.WINDOW + 4 + 4 * index);
  });
  bytes.writeUInt32BE(receive, layout.RECEIVE_LENGTH);
  bytes.writeUInt32BE(sent, layout.SENT_LENGTH);
  bytes.writeUInt32BE(unsent, layout.UNSENT_LENGTH);
  bytes.writeUInt32BE(parts.state ?? 0, layout.STATE_LENGTH);
  return bytes;
}
