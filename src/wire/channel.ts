import type { Duplex } from 'node:stream';
import { FLOW_BYTES } from '../kernel/flow';
import type { HandoffId } from '../steer/flow-table';
import { FrameDecoder, type OnFrame } from './decoder';
import * as frames from './frames';
import { wishLength, writeWish, type Wish } from './hand-back';
import { detailsLength, writeDetails } from './handoff-details';
import { writeReport, type Report } from './report';
import { explain } from './tls-errors';

/** Bytes collected before a new piece of memory is taken; a burst of 60 handoffs with 1 KiB heads fits. */
const CHUNK_BYTES = 64 * 1024;
/** Chunks kept for reuse: more are under way only when the peer is slow. */
const SPARE_CHUNKS = 4;
/** Unwritten bytes beyond which a channel takes no offers: the peer does not keep up. */
const CONGESTED_BYTES = 16 * 1024 * 1024;
/** A peer that leaves more than this unread is not worth the memory. A list of a million flows (45 MB) stays below. */
const MOST_UNWRITTEN_BYTES = 64 * 1024 * 1024;
/** A ping goes out this often, and a channel that has been silent for much longer is dead. */
export const PING_INTERVAL_MS = 1000;
export const SILENCE_LIMIT_MS = 5000;
/** The longest frame (24 MiB) takes half of this at 100 Mbit/s; one that never ends would hold its memory for as long. */
export const FRAME_LIMIT_MS = 5000;
/** After a pause of this process what the peer has sent meanwhile waits unread: this long it gets to be read. */
const CATCH_UP_MS = 50;
/** What the cause of an end by the peer's last words begins with. */
export const PEER_SAID = 'peer said: ';
/** How long last words may take to leave. */
const GOODBYE_MS = 1000;

export interface ChannelEvents {
  onFrame: OnFrame;
  /** Called once, however the channel ended. */
  onClose: (cause: string) => void;
}

/**
 * Frames over a stream (a TCP socket today, a TLS socket is the same Duplex). What is sent within one turn of the event
 * loop, the offers of a burst and the commits for the last one, goes out in one write at the turn's end. Pings keep it alive and find a peer that is gone without a word.
 */
export class Channel {
  readonly #stream: Duplex;
  readonly #events: ChannelEvents;
  /** Whether the peer has said hello: before that it may not make this side allocate an offer's worth of memory. */
  #greeted = false;
  readonly #decoder = new FrameDecoder((type) =>
    this.#greeted
      ? frames.longestPayload(type)
      : Math.min(frames.longestPayload(type), frames.MAX_TEXT_BYTES),
  );
  #chunk: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  #used = 0;
  readonly #spare: Buffer[] = [];
  #flushPlanned = false;
  #closed = false;
  #heardAt = performance.now();
  readonly #pinger: NodeJS.Timeout;

  constructor(stream: Duplex, events: ChannelEvents) {
    this.#stream = stream;
    this.#events = events;
    stream.on('data', (data: Buffer) => this.#receive(data));
    stream.on('error', (error: Error) => this.close(explain(error)));
    stream.on('end', () => this.close('closed by the peer'));
    stream.on('close', () => this.close('closed'));
    this.#pinger = setInterval(() => this.#ping(), PING_INTERVAL_MS);
    this.#pinger.unref();
  }

  /** When the peer was last heard, performance.now(). */
  get heardAt(): number {
    return this.#heardAt;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether so much is waiting to be written that nothing large should be added. */
  get congested(): boolean {
    return this.#stream.writableLength + this.#used > CONGESTED_BYTES;
  }

  sendText(type: number, text: string): void {
    const length = Buffer.byteLength(text);
    const at = this.#begin(type, length);
    this.#chunk.write(text, at, 'utf8');
  }

  /** PREPARED, COMMIT, ABORT, SETTLED, WITHDRAWN, TAKEN, RESERVED. */
  sendId(type: number, epoch: number, sequence: number): void {
    this.#putId(this.#begin(type, frames.ID_BYTES), epoch, sequence);
  }

  /** COMMIT with details: what the handoff took in milliseconds, and the names of route and pool (encodeNames). */
  sendCommit(epoch: number, sequence: number, ms: number, names: Buffer): void {
    const at = this.#begin(frames.COMMIT, frames.ID_BYTES + detailsLength(names));
    this.#putId(at, epoch, sequence);
    writeDetails(ms, names, this.#chunk, at + frames.ID_BYTES);
  }

  /** REJECTED, RETURNED, KEPT; `reason` is its place in the list of the frame's reasons. */
  sendReason(type: number, epoch: number, sequence: number, reason: number): void {
    const at = this.#begin(type, frames.ID_BYTES + 1);
    this.#putId(at, epoch, sequence);
    this.#chunk[at + frames.ID_BYTES] = reason;
  }

  sendRejected(epoch: number, sequence: number, reason: frames.RejectReason): void {
    this.sendReason(frames.REJECTED, epoch, sequence, frames.REJECT_REASONS.indexOf(reason));
  }

  /** HANDBACK or RESERVE. */
  sendHandBack(
    type: number,
    { epoch, sequence }: HandoffId,
    wish: Wish,
    snapshot: Buffer,
    length: number,
  ): void {
    const from = frames.ID_BYTES + wishLength(wish);
    const at = this.#begin(type, from + length);
    this.#putId(at, epoch, sequence);
    writeWish(wish, this.#chunk, at + frames.ID_BYTES);
    snapshot.copy(this.#chunk, at + from, 0, length);
  }

  /** LEAVE or APPEND. */
  sendOctets(type: number, { epoch, sequence }: HandoffId, octets: Buffer): void {
    const at = this.#begin(type, frames.ID_BYTES + octets.length);
    this.#putId(at, epoch, sequence);
    octets.copy(this.#chunk, at + frames.ID_BYTES);
  }

  sendMove(flow: Buffer, { epoch, sequence }: HandoffId, wish: Wish): void {
    const at = this.#begin(frames.MOVE, frames.FLOW_RECORD_BYTES + wishLength(wish));
    flow.copy(this.#chunk, at, 0, FLOW_BYTES);
    this.#putId(at + FLOW_BYTES, epoch, sequence);
    writeWish(wish, this.#chunk, at + frames.FLOW_RECORD_BYTES);
  }

  sendOffer(epoch: number, sequence: number, snapshot: Buffer, length: number): void {
    const at = this.#begin(frames.OFFER, frames.ID_BYTES + length);
    this.#putId(at, epoch, sequence);
    snapshot.copy(this.#chunk, at + frames.ID_BYTES, 0, length);
  }

  sendReport(report: Report): void {
    const at = this.#begin(frames.REPORT, frames.REPORT_BYTES);
    writeReport(report, this.#chunk, at);
  }

  /** LIST. */
  sendEmpty(type: number): void {
    this.#begin(type, 0);
  }

  /** CLOSED, VOID, or a part of FLOWS (`last` tells whether more parts follow). */
  sendFlows(type: number, flows: readonly { flow: Buffer; id: HandoffId }[], last = true): void {
    const lead = type === frames.FLOWS ? 1 : 0;
    let at = this.#begin(type, lead + flows.length * frames.FLOW_RECORD_BYTES);
    if (lead === 1) this.#chunk[at++] = last ? 1 : 0;
    for (const { flow, id } of flows) {
      flow.copy(this.#chunk, at);
      this.#putId(at + flow.length, id.epoch, id.sequence);
      at += frames.FLOW_RECORD_BYTES;
    }
  }

  /** Ends the channel; `lastWords` are sent to the peer first, for its log. */
  close(cause: string, lastWords?: string): void {
    if (this.#closed) return;
    if (lastWords !== undefined && !this.#stream.destroyed) {
      this.sendText(frames.BYE, lastWords.slice(0, 1000));
      this.#flush();
      // That may have been too much for a peer that does not read.
      if (this.closed) return;
    }
    this.#closed = true;
    clearInterval(this.#pinger);
    if (lastWords === undefined) this.#stream.destroy();
    else this.#endStream();
    this.#events.onClose(cause);
  }

  #receive(data: Buffer): void {
    if (this.#closed) return;
    this.#heardAt = performance.now();
    try {
      this.#decoder.push(data, this.#dispatch);
    } catch (error) {
      if (!(error instanceof frames.ProtocolError)) throw error;
      this.close(`protocol error: ${error.message}`, error.message);
    }
  }

  readonly #dispatch: OnFrame = (type, bytes, offset, length) => {
    if (this.#closed || type === frames.PONG) return;
    if (type === frames.PING) this.#pong();
    else if (type === frames.BYE)
      this.close(`${PEER_SAID}${printable(bytes.toString('utf8', offset, offset + length))}`);
    else {
      this.#events.onFrame(type, bytes, offset, length);
      if (type === frames.HELLO) this.#greeted = true;
    }
  };

  /** Whatever waits to be written says the same, and a peer that does not read gets no more of it. */
  #pong(): void {
    if (this.#used === 0 && this.#stream.writableLength === 0) this.#begin(frames.PONG, 0);
  }

  /** A peer that does not read must not keep the stream. */
  #endStream(): void {
    const timer = setTimeout(() => this.#stream.destroy(), GOODBYE_MS).unref();
    this.#stream.end(() => {
      clearTimeout(timer);
      this.#stream.destroy();
    });
  }

  #ping(): void {
    const { startedAt } = this.#decoder;
    const heardAt = this.#heardAt;
    const now = performance.now();
    const silence = now - heardAt;
    const stuck = now - startedAt;
    if (silence <= SILENCE_LIMIT_MS && stuck <= FRAME_LIMIT_MS) {
      this.#begin(frames.PING, 0);
      return;
    }
    setTimeout(() => {
      if (silence > SILENCE_LIMIT_MS && this.#heardAt === heardAt)
        this.close(`no word for ${Math.round(silence)} ms`);
      else if (stuck > FRAME_LIMIT_MS && this.#decoder.startedAt === startedAt)
        this.close(`a frame has not come to its end after ${Math.round(stuck)} ms`);
    }, CATCH_UP_MS).unref();
  }

  /** Writes a frame's header and returns where its payload goes in the current chunk. */
  #begin(type: number, length: number): number {
    const total = frames.FRAME_HEADER_BYTES + length;
    if (this.#used + total > this.#chunk.length) this.#makeRoom(total);
    const at = this.#used;
    this.#chunk.writeUInt32BE(length, at);
    this.#chunk[at + 4] = type;
    this.#used = at + total;
    if (!this.#flushPlanned) {
      this.#flushPlanned = true;
      setImmediate(this.#flush);
    }
    return at + frames.FRAME_HEADER_BYTES;
  }

  #makeRoom(total: number): void {
    this.#write();
    if (total > this.#chunk.length) this.#chunk = Buffer.allocUnsafeSlow(total);
  }

  readonly #flush = (): void => {
    this.#flushPlanned = false;
    this.#write();
  };

  #write(): void {
    if (this.#used === 0) return;
    const chunk = this.#chunk;
    const data = chunk.subarray(0, this.#used);
    this.#used = 0;
    if (this.#stream.destroyed || this.#closed) return;
    const waiting = this.#stream.writableLength;
    if (waiting > MOST_UNWRITTEN_BYTES) {
      this.close(`the peer does not read: ${waiting} bytes wait for it`);
      return;
    }
    // What a slow peer lets wait must not hold a whole chunk for a few bytes each.
    if (waiting > 0 && data.length < CHUNK_BYTES / 2) {
      this.#stream.write(Buffer.from(data));
      return;
    }
    this.#chunk = this.#spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
    // The stream reads the memory until it says that it has written it.
    this.#stream.write(data, () => {
      if (chunk.length === CHUNK_BYTES && this.#spare.length < SPARE_CHUNKS) this.#spare.push(chunk);
    });
  }

  #putId(at: number, epoch: number, sequence: number): void {
    this.#chunk.writeUInt32BE(epoch, at);
    this.#chunk.writeUInt32BE(sequence, at + 4);
  }
}

/** A peer's text goes to logs: one line, nothing that moves a terminal's cursor, bounded. */
function printable(text: string): string {
  return text.slice(0, 200).replace(/[^\x20-\x7e]/g, '?');
}
