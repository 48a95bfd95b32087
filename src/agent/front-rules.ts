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
    /** The channel was one of the process before this one: the front's own come first. */
    private readonly inherited = false,
  ) {
    front.opened(this);
  }

  /** Those that judge now. */
  get current(): Rules {
    return this.#open && !this.inherited ? this.own : (this.front.newest ?? this.own);
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
  /** What they were made of, for a successor. */
  readonly #texts = new WeakMap<Rules, string>();
  /** By front. */
  readonly #inherited = new Map<string, ChannelRules>();

  /** The table of a front's channel has come; throws a ProtocolError. */
  open(node: string, payload: Buffer, inherited = false): ChannelRules {
    const digest = createHash('sha256').update(payload).digest('base64');
    const table = this.#tables.get(digest) ?? { rules: this.#rulesOf(payload), channels: 0 };
    this.#tables.set(digest, table);
    table.channels += 1;
    let front = this.#fronts.get(node);
    if (front === undefined) this.#fronts.set(node, (front = new Front(() => this.#fronts.delete(node))));
    const closed = (): void => {
      table.channels -= 1;
      if (table.channels === 0) this.#tables.delete(digest);
    };
    return new ChannelRules(table.rules, front, closed, inherited);
  }

  /** The table that a front had in the process before this one, in the place of any before; throws a ProtocolError. */
  inherit(node: string, table: string): void {
    const before = this.#inherited.get(node);
    this.#inherited.set(node, this.open(node, Buffer.from(table), true));
    before?.close();
  }

  /** What judges a front's connections that come from the process before this one. */
  inheritedOf(node: string): ChannelRules | undefined {
    return this.#inherited.get(node);
  }

  /** No more connections come from there. */
  forgetInherited(): void {
    for (const rules of this.#inherited.values()) rules.close();
    this.#inherited.clear();
  }

  /** The newest table of each front, for a successor. */
  get newest(): { readonly front: string; readonly table: string }[] {
    return [...this.#fronts].flatMap(([front, { newest }]) => {
      const table = newest && this.#texts.get(newest);
      return table === undefined ? [] : [{ front, table }];
    });
  }

  #rulesOf(payload: Buffer): Rules {
    const text = payload.toString('utf8');
    const rules = rulesOf(text);
    this.#texts.set(rules, text);
    return rules;
  }

  /** How many different tables, and fronts, are remembered. */
  get size(): { readonly tables: number; readonly fronts: number } {
    return { tables: this.#tables.size, fronts: this.#fronts.size };
  }
}

function rulesOf(text: string): Rules {
  const table = decodeRoutingTable(text);
  try {
    return new Rules(table);
  } catch (error) {
    // Routes to pools that there are not, splits without a share, redirects that are none.
    throw new ProtocolError(`routes: ${(error as Error).message}`);
  }
}
