/**
 * Which rules judge a connection: those of the channel on which it was committed while that is open, else those of the newest
 * open channel of the same front, else the last that this front had. A front's new configuration comes with new channels, and
 * the old ones close when their threads have nothing left to hand over: so a reload reaches the connections that are open.
 */
import { createHash } from 'node:crypto';
import { ProtocolError } from '../wire/frames';
import { decodeRoutingTable } from '../wire/routing-table';
import { Rules } from './rules';

/** What one front, by its name, has said. */
class Front {
  /** Those that are open, in the order in which they came. */
  readonly #channels: ChannelRules[] = [];
  /** Live connections that are judged by its rules. */
  connections = 0;
  #last: Rules | undefined;

  constructor(private readonly forget: () => void) {}

  get newest(): Rules | undefined {
    return this.#channels.at(-1)?.own ?? this.#last;
  }

  opened(channel: ChannelRules): void {
    this.#channels.push(channel);
    this.#last = channel.own;
  }

  closed(channel: ChannelRules): void {
    this.#channels.splice(this.#channels.indexOf(channel), 1);
    this.forgetIfGone();
  }

  forgetIfGone(): void {
    if (this.#channels.length + this.connections === 0) this.forget();
  }
}

/** The rules of a channel, for the connections that are committed on it. */
export class ChannelRules {
  #open = true;

  constructor(
    readonly own: Rules,
    private readonly front: Front,
    private readonly onClosed: () => void,
  ) {
    front.opened(this);
  }

  /** Those that judge now. */
  get current(): Rules {
    return this.#open ? this.own : (this.front.newest ?? this.own);
  }

  /** A connection is judged by them from now on; returns what to call when it has ended. */
  join(): () => void {
    this.front.connections += 1;
    return () => {
      this.front.connections -= 1;
      this.front.forgetIfGone();
    };
  }

  /** The channel is gone. */
  close(): void {
    this.#open = false;
    this.onClosed();
    this.front.closed(this);
  }
}

/** The rules of all fronts, by channel. */
export class FrontRules {
  readonly #fronts = new Map<string, Front>();
  /** By what the table says, because each accepting thread of a front sends the same; with the open channels that have it. */
  readonly #tables = new Map<string, { readonly rules: Rules; channels: number }>();

  /** The table of a front's channel has come; throws a ProtocolError. */
  open(node: string, payload: Buffer): ChannelRules {
    const digest = createHash('sha256').update(payload).digest('base64');
    const table = this.#tables.get(digest) ?? { rules: rulesOf(payload), channels: 0 };
    this.#tables.set(digest, table);
    table.channels += 1;
    let front = this.#fronts.get(node);
    if (front === undefined) this.#fronts.set(node, (front = new Front(() => this.#fronts.delete(node))));
    return new ChannelRules(table.rules, front, () => {
      table.channels -= 1;
      if (table.channels === 0) this.#tables.delete(digest);
    });
  }

  /** How many different tables, and fronts, are remembered. */
  get size(): { readonly tables: number; readonly fronts: number } {
    return { tables: this.#tables.size, fronts: this.#fronts.size };
  }
}

function rulesOf(payload: Buffer): Rules {
  const table = decodeRoutingTable(payload.toString('utf8'));
  try {
    return new Rules(table);
  } catch (error) {
    // Routes to pools that there are not, splits without a share, redirects that are none.
    throw new ProtocolError(`routes: ${(error as Error).message}`);
  }
}
