import { createHash, randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { bench, get, httpOrigin, tearDown } from './harness';

afterEach(tearDown);

const SIZE = 64 * 1024 * 1024;
const PIECE = randomFillSync(Buffer.alloc(1024 * 1024));

/** 64 MiB that are never in memory at once. */
function source(): Readable {
  return Readable.from(
    (function* () {
      for (let sent = 0; sent < SIZE; sent += PIECE.length) yield PIECE;
    })(),
    { objectMode: false },
  );
}

function sourceDigest(): string {
  const hash = createHash('sha256');
  for (let sent = 0; sent < SIZE; sent += PIECE.length) hash.update(PIECE);
  return hash.digest('hex');
}

async function digest(stream: AsyncIterable<unknown>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of stream) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

test('64 MiB up and down at the same time, with a length', async () => {
  const origin = await httpOrigin((request, response) => {
    response.writeHead(200, { 'content-length': SIZE });
    request.pipe(response);
  });
  const { port, relay, errors } = await bench(origin);
  const headers = { 'content-length': SIZE };
  const outgoing = httpRequest({ port, host: '127.0.0.1', method: 'POST', headers });
  const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
  source().pipe(outgoing);
  const [answer] = await answered;
  expect(await digest(answer)).toBe(sourceDigest());
  expect(relay.bytesToClients).toBe(SIZE);
  expect(errors).toEqual([]);
});

test('64 MiB up in chunks', async () => {
  const origin = await httpOrigin((request, response) => {
    void digest(request).then((hex) => response.end(hex));
  });
  const { port } = await bench(origin);
  const outgoing = httpRequest({ port, host: '127.0.0.1', method: 'POST' });
  const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
  await pipeline(source(), outgoing);
  const [answer] = await answered;
  expect(Buffer.concat(await answer.toArray()).toString()).toBe(sourceDigest());
});

/**
 * What one side can push into the buffers on the way when the other does not take anything: the kernel's socket
 * buffers (up to 6 MiB each by default) and some chunks in the process. Without backpressure it would be everything.
 */
const IN_FLIGHT_LIMIT = 32 * 1024 * 1024;

/** Counts what `target` takes in. */
class Meter extends Writable {
  total = 0;

  constructor(private readonly target: Writable) {
    super({ highWaterMark: PIECE.length });
  }

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    this.total += chunk.length;
    if (this.target.write(chunk)) callback();
    else this.target.once('drain', callback);
  }
}

/** Resolves when all buffers are full: that nothing moves any more shows only after a while, here 200 ms. */
async function stalled(meter: Meter): Promise<number> {
  for (let last = -1; last !== meter.total;) {
    last = meter.total;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return meter.total;
}

test('a client that does not read holds the origin back', async () => {
  let meter: Meter | undefined;
  const origin = await httpOrigin((_request, response) => {
    meter = new Meter(response);
    source()
      .pipe(meter)
      .on('finish', () => response.end());
  });
  const { client } = await bench(origin);
  const raw = client();
  raw.socket.removeAllListeners('data');
  raw.socket.pause();
  raw.send(get());
  while (meter === undefined) await new Promise(setImmediate);
  expect(await stalled(meter)).toBeLessThan(IN_FLIGHT_LIMIT);
  // The rest follows once there is room.
  raw.socket.resume();
  await once(meter, 'finish');
});

test('an origin that does not read holds the client back', async () => {
  let incoming: IncomingMessage | undefined;
  const origin = await httpOrigin((request, response) => {
    incoming = request;
    request.on('end', () => response.end());
  });
  const { port } = await bench(origin);
  const outgoing = httpRequest({ port, host: '127.0.0.1', method: 'POST' });
  const answered = once(outgoing, 'response');
  const meter = new Meter(outgoing);
  source()
    .pipe(meter)
    .on('finish', () => outgoing.end());
  while (incoming === undefined) await new Promise(setImmediate);
  expect(await stalled(meter)).toBeLessThan(IN_FLIGHT_LIMIT);
  incoming.resume();
  await answered;
});
