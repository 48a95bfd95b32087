import { Duplex } from 'node:stream';
import { makeSnapshot } from '../../test/repair/snapshots';
import { checkSnapshot as check } from '../../src/repair/layout';
import { Channel } from '../../src/wire/channel';
import { FrameDecoder } from '../../src/wire/decoder';
import { FRAME_HEADER_BYTES, ID_BYTES, OFFER } from '../../src/wire/frames';
import { BROWSER_HEAD } from './browser-head';
import { sink, type Micro } from './micro';

/** Frames of one batch: fewer bytes than a channel collects before it writes. */
const OFFERS = 40;
/** What a stream hands over at once when it does not come in the peer's pieces: frames are cut in two by it. */
const PIECE_BYTES = 4096;

/** Of a connection that waits with its first request. */
const SNAPSHOT = makeSnapshot({ queues: [BROWSER_HEAD.length, 0, 0] });

/** Writes OFFER frames. That they are handed over to a stream, at the end of the turn, is not in it. */
export function encode(): Micro {
  const nowhere = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  const channel = new Channel(nowhere, { onFrame: () => undefined, onClose: () => undefined });
  return {
    name: 'encode OFFER',
    yardstick: 'scan',
    calls: OFFERS,
    batch: () => {
      for (let i = 0; i < OFFERS; i++) channel.sendOffer(1, i, SNAPSHOT, SNAPSHOT.length);
    },
    close: () => channel.close('measured'),
  };
}

/** Takes OFFER frames out of a stream's pieces. */
export function decode(): Micro {
  const stream = offers();
  const pieces: Buffer[] = [];
  for (let at = 0; at < stream.length; at += PIECE_BYTES) pieces.push(stream.subarray(at, at + PIECE_BYTES));
  // As a channel has it once the peer has said hello.
  const decoder = new FrameDecoder();
  const count = (_type: number, _bytes: Buffer, _offset: number, length: number): void => {
    sink.value += length;
  };
  return {
    name: 'decode OFFER',
    yardstick: 'scan',
    calls: OFFERS,
    batch: () => {
      for (const piece of pieces) decoder.push(piece, count);
    },
  };
}

function offers(): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + ID_BYTES + SNAPSHOT.length);
  frame.writeUInt32BE(ID_BYTES + SNAPSHOT.length, 0);
  frame[4] = OFFER;
  SNAPSHOT.copy(frame, FRAME_HEADER_BYTES + ID_BYTES);
  return Buffer.concat(Array<Buffer>(OFFERS).fill(frame));
}

export function checkSnapshot(): Micro {
  const calls = 50;
  return {
    name: 'check snapshot',
    yardstick: 'scan',
    calls,
    batch: () => {
      for (let i = 0; i < calls; i++) check(SNAPSHOT, 0, SNAPSHOT.length);
    },
  };
}
