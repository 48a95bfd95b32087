// Runs in a network namespace of its own: one connection on loopback is dumped, closed and restored in this process.
// Usage: node roundtrip.fixture.cjs DIST FAMILY UNREAD SENT UNSENT   -> one JSON line
const [dist, family, unread, sent, unsent] = process.argv.slice(2);
const net = require('node:net');
const { createHash, randomBytes } = require('node:crypto');
const { once } = require('node:events');
const socket = require(`${dist}/kernel/socket`);
const libc = require(`${dist}/kernel/libc`);
const flows = require(`${dist}/kernel/flow`);
const { DumpBuffer, dump, release, unmoved } = require(`${dist}/repair/dump`);
const { freeze } = require(`${dist}/repair/freeze`);
const { Restorer, goLive, unsentPart } = require(`${dist}/repair/restore`);
const layout = require(`${dist}/repair/layout`);

const host = family === '4' ? '127.0.0.1' : '::1';
const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
const until = async (condition) => {
  while (!condition()) await new Promise(setImmediate);
};

async function main() {
  const listener = socket.listenOn({ host, port: 8080, backlog: 8, deferAccept: 0 });
  const client = net.connect({ host, port: 8080 });
  await once(client, 'connect');
  const peer = Buffer.alloc(flows.SOCKADDR_BYTES);
  const fd = socket.accept(listener, peer);
  const flow = flows.makeFlow(host, client.localPort, host, 8080);

  // The client's bytes wait unread; the server's wait unacknowledged because the client's host drops its packets.
  const request = randomBytes(Number(unread));
  client.write(request);
  await until(() => socket.unreadBytes(fd) === request.length);
  const response = randomBytes(Number(sent) + Number(unsent));
  if (response.length > 0) {
    client.pause();
    freeze(fd); // acknowledgements no longer arrive
    socket.setOption(fd, socket.SOL_SOCKET, socket.SO_SNDBUFFORCE, response.length * 4);
    for (let done = 0; done < response.length;) {
      done += libc.send(fd, response.subarray(done), response.length - done, socket.MSG_DONTWAIT);
    }
  } else {
    freeze(fd);
  }

  const into = new DumpBuffer();
  const length = dump(fd, flow, into);
  const snapshot = Buffer.from(into.bytes.subarray(0, length));
  if (!unmoved(fd, snapshot.readUInt32BE(layout.RECEIVE_SEQUENCE))) throw new Error('queue moved');
  release(fd);
  layout.checkSnapshot(snapshot, 0, length);
  const restored = new Restorer().restore(snapshot, 0);
  const rest = unsentPart(snapshot, 0, length);
  const taken = goLive(restored, rest, true);

  const server = new net.Socket({ fd: restored });
  if (taken < rest.length) server.write(rest.subarray(taken));
  const received = [];
  server.on('data', (chunk) => received.push(chunk));
  const more = randomBytes(100_000);
  client.write(more);
  await until(() => received.reduce((sum, chunk) => sum + chunk.length, 0) === request.length + more.length);
  const echoed = [];
  client.on('data', (chunk) => echoed.push(chunk));
  client.resume();
  server.end(more);
  await once(client, 'end');
  libc.close(listener);
  console.log(
    JSON.stringify({
      options: snapshot[layout.OPTIONS],
      scales: [snapshot[layout.CLIENT_WINDOW_SCALE], snapshot[layout.OUR_WINDOW_SCALE]],
      mss: snapshot.readUInt16BE(layout.MSS),
      receive: snapshot.readUInt32BE(layout.RECEIVE_LENGTH),
      sent: snapshot.readUInt32BE(layout.SENT_LENGTH),
      unsent: snapshot.readUInt32BE(layout.UNSENT_LENGTH),
      toServer: digest(Buffer.concat(received)) === digest(Buffer.concat([request, more])),
      toClient: digest(Buffer.concat(echoed)) === digest(Buffer.concat([response, more])),
      remote: server.remoteAddress ?? null,
    }),
  );
}
main().catch((error) => {
  console.error(error);
  process.exit(1);
});
