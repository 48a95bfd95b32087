/**
 * Bulk transfers over raw connections, one each, with a checksum of every byte at both ends.
 *
 * Options: { direction: 'upload' | 'download', address, port (80), count, parallel, bytes }.
 */
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { bytes, expectedSha256 } from '../bytes.mjs';
import { check, exchange, jsonOf, options, runJobs } from './load.mjs';

/** Different transfers at the same time carry different bytes, so that mixing two of them up is seen. */
const SEEDS = 16;

const { direction, address, port = 80, bytes: length, ...load } = options();
const expected = Array.from({ length: SEEDS }, (_, seed) => expectedSha256(length, seed));

/** The first write has the head and a megabyte of the body, so the body is under way during the handoff. */
async function upload(seed) {
  const socket = connect(port, address);
  const answer = [];
  await exchange(socket, withHead(bytes(length, seed)), (piece) => answer.push(piece));
  const sum = jsonOf(answer);
  check('length at the server', sum.bytes, length);
  check('checksum at the server', sum.sha256, expected[seed]);
}

function* withHead(pieces) {
  const head = `POST /sum HTTP/1.1\r\nHost: bulk\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n`;
  yield Buffer.concat([Buffer.from(head), pieces.next().value]);
  yield* pieces;
}

async function download(seed) {
  const socket = connect(port, address);
  const request = `GET /bytes?n=${length}&seed=${seed} HTTP/1.1\r\nHost: bulk\r\nConnection: close\r\n\r\n`;
  const body = new BodyHash();
  await exchange(socket, [request].values(), (piece) => body.take(piece));
  check('length at the client', body.length, length);
  check('checksum at the client', body.digest(), expected[seed]);
}

/** Hashes what follows the head of a response. */
class BodyHash {
  length = 0;
  #head = Buffer.alloc(0);
  #hash = undefined;

  take(piece) {
    if (this.#hash !== undefined) this.#add(piece);
    else this.#findBody(piece);
  }

  digest() {
    return this.#hash?.digest('hex');
  }

  #findBody(piece) {
    this.#head = Buffer.concat([this.#head, piece]);
    const end = this.#head.indexOf('\r\n\r\n');
    if (end < 0) return;
    this.#hash = createHash('sha256');
    this.#add(this.#head.subarray(end + 4));
  }

  #add(piece) {
    this.length += piece.length;
    this.#hash.update(piece);
  }
}

const transfer = direction === 'upload' ? upload : download;
console.log(JSON.stringify(await runJobs(load, (k) => transfer(k % SEEDS))));
