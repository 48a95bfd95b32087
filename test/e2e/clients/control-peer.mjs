/**
 * Speaks to an agent's control port as a front would, whether it is one or not: on each of several channels it says
 * hello and makes an offer at once, without waiting for anything. Prints `settled` when every channel has an answer to
 * its offer or is over, and JSON when all are over, which they are at the latest when standard input ends:
 *
 *   greeted      channels on which the agent has said hello
 *   prepared     channels on which it has built the connection
 *   byes         what it said before it closed
 *   errors       how channels ended otherwise
 *   fingerprint  of the agent's certificate
 *
 * Options: { host, port, tls (ca, cert, key: files, or absent), plain, maxVersion, node, snapshots (base64) }.
 */
import { readFileSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import { connect } from 'node:tls';
import { options } from './load.mjs';

const { host, port, tls = {}, plain = false, maxVersion, node, snapshots } = options();
const [HELLO, OFFER, PREPARED, REJECTED, BYE] = [1, 2, 3, 4, 11];
const result = { greeted: 0, prepared: 0, rejected: 0, byes: [], errors: [], fingerprint: undefined };
let [unsettled, open] = [snapshots.length, snapshots.length];

function frame(type, payload) {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(payload.length);
  head[4] = type;
  return Buffer.concat([head, payload]);
}

function settle(channel) {
  if (channel.settled) return;
  channel.settled = true;
  unsettled -= 1;
  if (unsettled === 0) console.log('settled');
}

function take(channel, type, payload) {
  if (type === HELLO) result.greeted += 1;
  if (type === PREPARED) result.prepared += 1;
  if (type === REJECTED) result.rejected += 1;
  if (type === BYE) result.byes.push(payload.toString());
  if (type === PREPARED || type === REJECTED) settle(channel);
}

function read(channel, data) {
  channel.unread = Buffer.concat([channel.unread, data]);
  for (;;) {
    const end = 5 + (channel.unread.length < 5 ? Infinity : channel.unread.readUInt32BE());
    if (channel.unread.length < end) return;
    take(channel, channel.unread[4], channel.unread.subarray(5, end));
    channel.unread = channel.unread.subarray(end);
  }
}

function start(snapshot, index) {
  const files = Object.entries(tls).map(([key, file]) => [key, readFileSync(file)]);
  // Whoever the agent is: this peer trusts anybody.
  const secured = {
    ...Object.fromEntries(files),
    rejectUnauthorized: false,
    ...(maxVersion && { maxVersion }),
  };
  const socket = plain ? connectPlain({ host, port }) : connect({ host, port, ...secured });
  const channel = { unread: Buffer.alloc(0), settled: false };
  const hello = JSON.stringify({ baton: [1], role: 'offers', node });
  const id = Buffer.from([0, 0, 0, 99, 0, 0, 0, index + 1]);
  socket.write(frame(HELLO, Buffer.from(hello)));
  socket.write(frame(OFFER, Buffer.concat([id, Buffer.from(snapshot, 'base64')])));
  socket.on('secureConnect', () => (result.fingerprint = socket.getPeerCertificate().fingerprint256));
  socket.on('data', (data) => read(channel, data));
  socket.on('error', ({ code }) => result.errors.push(code));
  socket.on('close', () => {
    settle(channel);
    open -= 1;
    if (open > 0) return;
    console.log(JSON.stringify(result));
    process.exit(0);
  });
  return socket;
}

const sockets = snapshots.map(start);
process.stdin.resume();
process.stdin.once('end', () => sockets.forEach((socket) => socket.destroy()));
