// Runs in a network namespace of its own: connections over loopback are dumped, closed and restored in this process.
// Usage: node roundtrip.fixture.cjs DIST '[{ family, unread, sent, options }, ...]'   -> a JSON line for each
//   unread   bytes that the client has sent and nobody has read
//   sent     bytes that the server has written and the client has not acknowledged: all, or as far as its window goes
//   options  what may be negotiated: 1 timestamps, 2 SACK, 4 window scaling
const { randomBytes } = require('node:crypto');
const { writeFileSync } = require('node:fs');
const loopback = require('./loopback.cjs');
const { exchange, layout, libc, socket, Stream } = loopback;

const EVERYTHING = 7;
const SYSCTLS = { tcp_timestamps: 1, tcp_sack: 2, tcp_window_scaling: 4 };

function allow(options) {
  for (const [name, bit] of Object.entries(SYSCTLS)) {
    writeFileSync(`/proc/sys/net/ipv4/${name}`, (options & bit) === 0 ? '0' : '1');
  }
}

loopback.run(async ({ family, unread, sent, options }) => {
  allow(options);
  const host = family === 4 ? '127.0.0.1' : '::1';
  const listener = loopback.listen(host);
  const { client, server, flow } = loopback.connectPair(listener, host);
  // Where it is restored the kernel would negotiate everything: it must keep to what was negotiated here.
  allow(EVERYTHING);
  const atClient = new Stream(client);
  atClient.socket.pause();

  const request = randomBytes(unread);
  atClient.socket.write(request);
  await loopback.until(() => socket.unreadBytes(server) === unread);
  // Acknowledgements no longer arrive: what is sent stays in the queue, and behind the client's window it stays unsent.
  loopback.freeze(server);
  const response = randomBytes(sent);
  if (sent > 0) socket.setOption(server, socket.SOL_SOCKET, socket.SO_SNDBUFFORCE, sent * 4);
  loopback.sendAll(server, response);

  const snapshot = loopback.snapshotOf(server, flow);
  loopback.release(server);
  const restored = loopback.restorer.restore(snapshot, 0);
  const restoredOptions = loopback.optionsOf(restored);
  const atServer = loopback.live(restored, snapshot);
  atClient.socket.resume();
  const more = randomBytes(100_000);
  const before = { toServer: [request], toClient: [response] };
  const arrived = await exchange(atClient, atServer, more, more, before);
  libc.close(listener);
  return {
    ...arrived,
    options: snapshot[layout.OPTIONS],
    restoredOptions,
    scales: [snapshot[layout.CLIENT_WINDOW_SCALE], snapshot[layout.OUR_WINDOW_SCALE]],
    mss: snapshot.readUInt16BE(layout.MSS),
    receive: snapshot.readUInt32BE(layout.RECEIVE_LENGTH),
    sent: snapshot.readUInt32BE(layout.SENT_LENGTH),
    unsent: snapshot.readUInt32BE(layout.UNSENT_LENGTH),
  };
});
