/**
 * One connection per job, with an upload, a download, or an upload and then a download, of mixed sizes, and a checksum of
 * every byte at both ends. Heads are short, longer than a packet, or come in pieces; bodies follow in the same write, or
 * right behind, so that they are under way when the connection is handed off.
 *
 * Options: { addresses, count, parallel, first (0), shares, finish, deafMs }. `first` is the first job's number, which
 * decides what it does. `shares`: sizes in KiB and how often each comes. `finish`: the client closes its side behind its last
 * request. `deafMs`: a download and an upload are asked for in one go, and nothing is read for so long.
 */
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { bytes, expectedSha256 } from '../bytes.mjs';
import { check, options, runJobs, SILENT_MS } from './load.mjs';

const KIB = 1024;
/** Size in KiB and how often of 40: 140 KiB on average. */
const SHARES = [
  [1, 14],
  [16, 14],
  [128, 8],
  [512, 3],
  [3072, 1],
];
const KINDS = [['upload'], ['download'], ['upload', 'download']];
const PIPELINED = ['download', 'upload'];
const HEADS = ['short', 'long', 'slow', 'apart'];
/** Different transfers at the same time carry different bytes, so that mixing two of them up is seen. */
const SEEDS = 16;
/** More than four packets. */
const LONG_FIELD = `X-Long: ${'l'.repeat(6_000)}\r\n`;
const PIECES = 4;
/** Between the pieces of a slow head: as long as a handoff takes, more or less. */
const MOST_PAUSE_MS = 5;

const { addresses, first = 0, shares = SHARES, finish = false, deafMs = 0, ...load } = options();
const sizes = shares.flatMap(([kib, times]) => Array(times).fill(kib * KIB));
const sums = new Map();
let transferred = 0;

async function job(k) {
  // A number that is no multiple of the others' lengths takes each through all values of the others.
  const kinds = deafMs > 0 ? PIPELINED : KINDS[k % KINDS.length];
  const size = sizes[(k * 7 + Math.floor(k / sizes.length)) % sizes.length];
  const style = HEADS[Math.floor(k / 3) % HEADS.length];
  const address = addresses[Math.floor(k / 12) % addresses.length];
  const seed = k % SEEDS;
  const socket = connect({ host: address, port: 80, noDelay: true, allowHalfOpen: true });
  const what = `${kinds.join('+')} of ${size}, ${style} head, ${address} from port `;
  const responses = new Responses(socket);
  const send = async (kind, index) => {
    const last = index === kinds.length - 1;
    await TRANSFERS[kind].send(socket, size, seed, style, last ? 'Connection: close\r\n' : '');
    if (last && finish) socket.end();
  };
  const receive = async (kind) => {
    TRANSFERS[kind].check(await responses.next(), size, seed);
    transferred += size;
  };
  try {
    if (deafMs > 0) await pipelined(socket, kinds, send, receive);
    else await inTurn(kinds, send, receive);
    await responses.ended();
    socket.end();
  } catch (error) {
    const port = socket.localPort ?? 'none';
    socket.destroy();
    throw new Error(`${what}${port}: ${error.message}`, { cause: error });
  }
}

async function inTurn(kinds, send, receive) {
  for (const [index, kind] of kinds.entries()) await Promise.all([send(kind, index), receive(kind)]);
}

/** What the server has to say waits in its kernel, for want of a window, while the upload goes on as far as it can. */
async function pipelined(socket, kinds, send, receive) {
  socket.pause();
  setTimeout(() => socket.resume(), deafMs);
  const sendAll = async () => {
    for (const [index, kind] of kinds.entries()) await send(kind, index);
  };
  const receiveAll = async () => {
    for (const kind of kinds) await receive(kind);
  };
  await Promise.all([sendAll(), receiveAll()]);
}

const TRANSFERS = {
  upload: {
    send: (socket, size, seed, style, fields) => {
      const head = `POST /sum HTTP/1.1\r\nHost: mixed\r\nContent-Length: ${size}\r\n${fields}`;
      return sendRequest(socket, head, style, bytes(size, seed));
    },
    check: ({ status, body }, size, seed) => {
      check('status', status, 200);
      const sum = JSON.parse(body.toString('latin1'));
      check('length at the server', sum.bytes, size);
      check('checksum at the server', sum.sha256, sha256(size, seed));
    },
  },
  download: {
    send: (socket, size, seed, style, fields) => {
      const head = `GET /bytes?n=${size}&seed=${seed} HTTP/1.1\r\nHost: mixed\r\n${fields}`;
      return sendRequest(socket, head, style, [].values());
    },
    check: ({ status, body }, size, seed) => {
      check('status', status, 200);
      check('length at the client', body.length, size);
      check('checksum at the client', createHash('sha256').update(body).digest('hex'), sha256(size, seed));
    },
  },
};

async function sendRequest(socket, lines, style, pieces) {
  const head = Buffer.from(`${lines}${style === 'long' ? LONG_FIELD : ''}\r\n`);
  const start = pieces.next();
  const body = start.done ? Buffer.alloc(0) : start.value;
  if (style === 'slow') {
    const step = Math.ceil(head.length / PIECES);
    for (let at = 0; at < head.length; at += step) {
      socket.write(head.subarray(at, at + step));
      await sleep(Math.random() * MOST_PAUSE_MS);
    }
    socket.write(body);
  } else if (style === 'apart') {
    socket.write(head);
    socket.write(body);
  } else {
    socket.write(Buffer.concat([head, body]));
  }
  for (const piece of pieces) {
    if (!socket.write(piece)) await new Promise((resolve) => socket.once('drain', resolve));
  }
}

function sha256(size, seed) {
  const key = `${size} ${seed}`;
  if (!sums.has(key)) sums.set(key, expectedSha256(size, seed));
  return sums.get(key);
}

/** The responses on a connection, one after the other; each has a Content-Length. */
class Responses {
  #buffer = [];
  #length = 0;
  #wanted = undefined;
  #waiting = undefined;
  #end = undefined;

  constructor(socket) {
    socket.setTimeout(SILENT_MS, () => this.#settle(new Error(`silent for ${SILENT_MS} ms`)));
    socket.on('data', (piece) => {
      this.#buffer.push(piece);
      this.#length += piece.length;
      this.#look();
    });
    socket.on('end', () => this.#settle('end'));
    socket.on('error', (error) => this.#settle(error));
  }

  /** The next response, { status, body }. */
  next() {
    return this.#wait('response');
  }

  /** Resolves when the other side has closed the connection and sent nothing but what was asked for. */
  async ended() {
    await this.#wait('end');
    check('bytes behind the last response', this.#length, 0);
  }

  #wait(what) {
    const promise = new Promise((resolve, reject) => (this.#waiting = { what, resolve, reject }));
    // Whoever sends first and waits later finds the error then.
    promise.catch(() => undefined);
    this.#look();
    return promise;
  }

  #settle(end) {
    this.#end ??= end;
    this.#look();
  }

  #look() {
    if (this.#waiting === undefined) return;
    const { what, resolve, reject } = this.#waiting;
    const response = what === 'response' ? this.#take() : undefined;
    if (response !== undefined) this.#done(() => resolve(response));
    else if (this.#end === 'end' && what === 'end') this.#done(resolve);
    else if (this.#end !== undefined) {
      const { message = 'connection closed' } = this.#end;
      this.#done(() => reject(new Error(`${message}, ${this.#length} bytes of ${what} there`)));
    }
  }

  #done(then) {
    this.#waiting = undefined;
    then();
  }

  #take() {
    if (this.#wanted === undefined) this.#readHead();
    if (this.#wanted === undefined || this.#length < this.#wanted.total) return undefined;
    const all = Buffer.concat(this.#buffer);
    const { status, headLength, total } = this.#wanted;
    this.#wanted = undefined;
    this.#buffer = all.length > total ? [all.subarray(total)] : [];
    this.#length = all.length - total;
    return { status, body: all.subarray(headLength, total) };
  }

  #readHead() {
    const all = Buffer.concat(this.#buffer);
    this.#buffer = [all];
    const end = all.indexOf('\r\n\r\n');
    if (end < 0) return;
    const text = all.toString('latin1', 0, end);
    const length = Number(/^content-length: *(\d+)/im.exec(text)?.[1] ?? NaN);
    if (!text.startsWith('HTTP/1.1 ') || Number.isNaN(length))
      throw new Error(`answer: ${text.slice(0, 80)}`);
    this.#wanted = { status: Number(text.slice(9, 12)), headLength: end + 4, total: end + 4 + length };
  }
}

const result = await runJobs(load, (k) => job(first + k));
console.log(JSON.stringify({ ...result, bytes: transferred }));
