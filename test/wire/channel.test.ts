import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { Channel } from '../../src/wire/channel';
import * as frames from '../../src/wire/frames';
import { makeFlow } from '../../src/kernel/flow';
import { turns, until } from '../kernel/pair';
import { frame, idPayload, RawServer, RawPeer, type ReadFrame } from './raw-peer';

/** A channel over a real connection, with a raw peer at the other end. */
interface Ends {
  readonly channel: Channel;
  readonly peer: RawPeer;
  readonly frames: ReadFrame[];
  readonly causes: string[];
}

let server: RawServer;
const open: RawPeer[] = [];

beforeAll(async () => {
  server = await RawServer.open();
});

afterEach(() => {
  for (const { socket } of open.splice(0)) socket.destroy();
});

afterAll(() => server.close());

async function openEnds(): Promise<Ends> {
  const peer = await RawPeer.connect(server.port);
  const { socket } = await server.accept();
  // The channel alone reads from here on.
  socket.removeAllListeners('data');
  const ends: Ends = {
    peer,
    frames: [],
    causes: [],
    channel: new Channel(socket, {
      onFrame: (type, bytes, offset, length) => {
        if (type === frames.REJECTED) throw new frames.ProtocolError('not from you');
        ends.frames.push({ type, payload: Buffer.from(bytes.subarray(offset, offset + length)) });
      },
      onClose: (cause) => ends.causes.push(cause),
    }),
  };
  open.push(peer, new RawPeer(socket));
  return ends;
}

describe('sending', () => {
  test('each kind of frame has the layout of the protocol', async () => {
    const { channel, peer } = await openEnds();
    const flow = makeFlow('198.18.1.1', 40000, '198.19.0.1', 80);
    const record = { flow, id: { epoch: 0xfffffffe, sequence: 3 } };
    channel.sendText(frames.HELLO, 'héllo');
    channel.sendOffer(1, 2, Buffer.from('snapshot and more'), 8);
    channel.sendId(frames.COMMIT, 0xffffffff, 0);
    channel.sendRejected(1, 2, 'stopping');
    channel.sendFlows(frames.CLOSED, [record]);
    channel.sendFlows(frames.FLOWS, [record, record], false);
    channel.sendFlows(frames.FLOWS, [], true);

    const recordBytes = Buffer.concat([flow, idPayload(0xfffffffe, 3)]);
    const wanted: [number, Buffer][] = [
      [frames.HELLO, Buffer.from('héllo')],
      [frames.OFFER, Buffer.concat([idPayload(1, 2), Buffer.from('snapshot')])],
      [frames.COMMIT, idPayload(0xffffffff, 0)],
      [frames.REJECTED, idPayload(1, 2, 7)],
      [frames.CLOSED, recordBytes],
      [frames.FLOWS, Buffer.concat([Buffer.from([0]), recordBytes, recordBytes])],
      [frames.FLOWS, Buffer.from([1])],
    ];
    for (const [type, payload] of wanted) expect(await peer.next()).toEqual({ type, payload });
  });

  test('what is sent within one turn of the event loop goes out in one write', async () => {
    const writes: number[] = [];
    const stream = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, written) => {
        writes.push(chunk.length);
        written();
      },
    });
    const channel = new Channel(stream, { onFrame: () => undefined, onClose: () => undefined });
    for (let i = 0; i < 500; i++) channel.sendId(frames.PREPARED, 1, i);
    // Later in the same turn.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    for (let i = 0; i < 500; i++) channel.sendId(frames.COMMIT, 1, i);
    await turns(2);
    expect(writes).toEqual([1000 * 13]);
    channel.sendId(frames.COMMIT, 1, 1);
    await turns(2);
    expect(writes).toEqual([1000 * 13, 13]);
    channel.close('done');
  });

  test('frames of one turn arrive together', async () => {
    const { channel, peer } = await openEnds();
    for (let i = 0; i < 1000; i++) channel.sendId(frames.PREPARED, 1, i);
    for (let i = 0; i < 1000; i++) expect((await peer.next())?.payload).toEqual(idPayload(1, i));
    process.stdout.write(`channel: 1000 frames of one turn in ${peer.pieces} piece(s)\n`);
    expect(peer.pieces).toBe(1);
  });

  test('memory that is under way is not written over, also when the peer is slow', async () => {
    const { channel, peer } = await openEnds();
    peer.socket.pause();
    const sent: string[] = [];
    for (let i = 0; i < 400; i++) {
      // Around the size of a chunk, so that offers fill one, share one, or need one of their own.
      const snapshot = randomBytes(1 + ((i * 7919) % 90_000));
      channel.sendOffer(1, i, snapshot, snapshot.length);
      sent.push(createHash('sha1').update(snapshot).digest('hex'));
      if (i % 5 === 0) await turns(1);
      if (i === 200) peer.socket.resume();
    }
    for (const [i, digest] of sent.entries()) {
      const { payload } = (await peer.next()) as ReadFrame;
      expect([payload.readUInt32BE(4), createHash('sha1').update(payload.subarray(8)).digest('hex')]).toEqual(
        [i, digest],
      );
    }
  });

  test('a peer that does not read makes the channel congested until it does', async () => {
    const { channel, peer } = await openEnds();
    peer.socket.pause();
    const snapshot = Buffer.alloc(1024 * 1024);
    let offers = 0;
    for (; !channel.congested; offers++) {
      expect(offers).toBeLessThan(40);
      channel.sendOffer(1, offers, snapshot, snapshot.length);
      await turns(1);
    }
    peer.socket.resume();
    await until(() => !channel.congested);
    process.stdout.write(`channel: congested after ${offers} MiB unread\n`);
    expect(offers).toBeGreaterThan(15);
  });
});

describe('a peer that does not read', () => {
  /** A stream whose reader never takes anything: what it was given, and how large the memory behind that is. */
  function openStuck(): { channel: Channel; held: ArrayBufferLike[]; causes: string[] } {
    const held: ArrayBufferLike[] = [];
    const causes: string[] = [];
    const stream = new Duplex({ read: () => undefined, write: () => undefined });
    const write = stream.write.bind(stream) as (chunk: Buffer, done?: () => void) => boolean;
    stream.write = ((chunk: Buffer, done?: () => void) => {
      held.push(chunk.buffer);
      return write(chunk, done);
    }) as typeof stream.write;
    const channel = new Channel(stream, { onFrame: () => undefined, onClose: (cause) => causes.push(cause) });
    return { channel, held, causes };
  }

  test('holds about as much memory as bytes', async () => {
    const { channel, held } = openStuck();
    const snapshot = Buffer.alloc(1000);
    for (let i = 0; i < 2000; i++) {
      channel.sendOffer(1, i, snapshot, snapshot.length);
      await turns(1);
    }
    // Small pieces share Node's pool; each piece of memory counts once.
    const bytes = [...new Set(held)].reduce((sum, { byteLength }) => sum + byteLength, 0);
    process.stdout.write(
      `  2 MB in 2000 turns that nobody reads: ${(bytes / 1e6).toFixed(1)} MB of memory\n`,
    );
    expect(bytes).toBeLessThan(8e6);
    channel.close('done');
  });

  test('is given up in the end', async () => {
    const { channel, causes } = openStuck();
    const snapshot = Buffer.alloc(1024 * 1024);
    for (let i = 0; i < 70 && !channel.closed; i++) {
      channel.sendOffer(1, i, snapshot, snapshot.length);
      await turns(1);
    }
    expect(channel.closed).toBe(true);
    expect(causes).toEqual([expect.stringMatching(/^the peer does not read: 6\d{7} bytes wait for it$/)]);
    channel.close('again', 'good bye');
    expect(causes).toHaveLength(1);
  });

  test('and is told good bye ends once', async () => {
    const { channel, causes } = openStuck();
    const snapshot = Buffer.alloc(1024 * 1024);
    for (let i = 0; i < 65; i++) {
      channel.sendOffer(1, i, snapshot, snapshot.length);
      if (i < 64) await turns(1);
    }
    expect(causes).toEqual([]);
    channel.close('stopping', 'good bye');
    expect(causes).toHaveLength(1);
  });
});

describe('receiving', () => {
  test('frames reach the owner, in order', async () => {
    const { peer, frames: read } = await openEnds();
    peer.send(
      frame(frames.PREPARED, idPayload(1, 1)),
      frame(frames.BYE - 4, 'x'),
      frame(frames.COMMIT, idPayload(1, 2)),
    );
    await until(() => read.length === 3);
    expect(read.map(({ type }) => type)).toEqual([frames.PREPARED, frames.CLOSED, frames.COMMIT]);
  });

  test('PING is answered with PONG, and neither reaches the owner', async () => {
    const { peer, frames: read } = await openEnds();
    peer.send(frame(frames.PONG), frame(frames.PING));
    expect((await peer.next())?.type).toBe(frames.PONG);
    peer.send(frame(frames.PING));
    expect((await peer.next())?.type).toBe(frames.PONG);
    expect(read).toEqual([]);
  });

  test('PINGs of a peer that does not read are answered once', async () => {
    const { peer, channel } = await openEnds();
    peer.socket.pause();
    const pings = Buffer.concat(Array.from({ length: 10_000 }, () => frame(frames.PING)));
    for (let n = 0; n < 100; n++) peer.send(pings);
    // All of them have been read when the word that follows them is.
    peer.send(frame(frames.BYE, 'that was it'));
    await until(() => channel.closed);
    peer.socket.resume();
    await peer.end();
    process.stdout.write(`  a million pings: ${peer.socket.bytesRead} bytes in answer\n`);
    expect(peer.socket.bytesRead).toBeLessThan(100_000);
  });

  test.each([
    ['an unknown type', frame(77, 'x'), 'unknown frame type 77'],
    [
      'a frame that is too long',
      frame(frames.PREPARED, 'x'.repeat(9)),
      'frame of type 3 with 9 bytes, at most 8 allowed',
    ],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'unknown frame type 47'],
    ['what the owner refuses', frame(frames.REJECTED, idPayload(1, 2, 3)), 'not from you'],
  ])('%s ends the channel with a BYE that says why', async (_, bytes, message) => {
    const { channel, peer, causes } = await openEnds();
    peer.send(bytes);
    expect(await peer.next()).toEqual({ type: frames.BYE, payload: Buffer.from(message) });
    await peer.end();
    expect(causes).toEqual([`protocol error: ${message}`]);
    expect(channel.closed).toBe(true);
  });

  test('a peer that has not said hello cannot claim memory for an offer', async () => {
    const offer = frame(frames.OFFER, Buffer.alloc(frames.MAX_TEXT_BYTES + 1));
    const { peer } = await openEnds();
    // The header is enough to be refused by.
    peer.send(offer.subarray(0, 5));
    expect((await peer.next())?.type).toBe(frames.BYE);

    const greeted = await openEnds();
    greeted.peer.send(frame(frames.HELLO, '{}'), offer);
    await until(() => greeted.frames.length === 2);
    expect(greeted.frames[1]?.payload).toHaveLength(frames.MAX_TEXT_BYTES + 1);
  });

  test('nothing is delivered after the end, not even from the same piece', async () => {
    const { peer, frames: read, causes } = await openEnds();
    peer.send(
      frame(frames.COMMIT, idPayload(1, 1)),
      frame(frames.BYE, 'enough'),
      frame(frames.COMMIT, idPayload(1, 2)),
    );
    await peer.end();
    expect(read).toHaveLength(1);
    expect(causes).toEqual(['peer said: enough']);
  });

  test("a peer's last words are made fit for a log", async () => {
    const { peer, causes } = await openEnds();
    peer.send(frame(frames.BYE, `\x1b[2J\r\n\0é${'x'.repeat(5000)}`));
    await peer.end();
    expect(causes).toEqual([`peer said: ?[2J????${'x'.repeat(192)}`]);
  });
});

describe('closing', () => {
  test('is told once, whoever begins', async () => {
    const { channel, causes, peer } = await openEnds();
    channel.close('first', 'good bye');
    channel.close('second', 'again');
    expect(await peer.next()).toEqual({ type: frames.BYE, payload: Buffer.from('good bye') });
    expect(await peer.next()).toBeUndefined();
    await turns(5);
    expect(causes).toEqual(['first']);
  });

  test('last words come after what was sent before, and are bounded', async () => {
    const { channel, peer } = await openEnds();
    channel.sendId(frames.COMMIT, 1, 1);
    channel.close('stopping', 'x'.repeat(5000));
    expect((await peer.next())?.type).toBe(frames.COMMIT);
    expect((await peer.next())?.payload).toHaveLength(1000);
  });

  test('the end and the reset of a connection are told', async () => {
    const ended = await openEnds();
    ended.peer.socket.end();
    await until(() => ended.causes.length > 0);
    expect(ended.causes).toEqual(['closed by the peer']);

    const reset = await openEnds();
    reset.peer.socket.resetAndDestroy();
    await until(() => reset.causes.length > 0);
    expect(reset.causes).toEqual([expect.stringContaining('ECONNRESET')]);
  });

  test('sending on a closed channel does nothing', async () => {
    const { channel, peer } = await openEnds();
    channel.close('done');
    channel.sendId(frames.COMMIT, 1, 1);
    channel.sendOffer(1, 1, Buffer.alloc(200_000), 200_000);
    await turns(3);
    expect(await peer.next()).toBeUndefined();
    if (!peer.socket.closed) await once(peer.socket, 'close');
  });
});
