// Runs in a network namespace of its own: what dump refuses, and what thaw leaves behind.
// Usage: node undo.fixture.cjs DIST '[{ scenario, family }, ...]'   -> a JSON line for each
const { randomBytes } = require('node:crypto');
const loopback = require('./loopback.cjs');
const { exchange, layout, libc, socket, Stream } = loopback;

const MSG_OOB = 1;

const SCENARIOS = {
  /** The client has sent its request and its FIN before the dump. */
  async fin(host, listener) {
    const { client, server, flow } = loopback.connectPair(listener, host);
    const atClient = new Stream(client);
    const request = randomBytes(10_000);
    atClient.finish(request);
    await loopback.until(() => loopback.stateOf(server) === loopback.STATE.closeWait);
    loopback.freeze(server);
    const outcome = loopback.outcomeOf(() => loopback.snapshotOf(server, flow));
    loopback.thaw(server);
    const state = loopback.stateOf(server);

    const atServer = new Stream(server);
    const atServerAll = await atServer.ended();
    const response = randomBytes(100_000);
    atServer.finish(response);
    return {
      outcome,
      halfClosed: state === loopback.STATE.closeWait,
      toServer: atServerAll.equals(request),
      toClient: (await atClient.ended()).equals(response),
    };
  },

  /** The client sends its FIN while the connection is frozen, and it is thawed after all. */
  async lateFin(host, listener) {
    const { client, server, flow } = loopback.connectPair(listener, host);
    const atClient = new Stream(client);
    loopback.freeze(server);
    const outcome = loopback.outcomeOf(() => loopback.snapshotOf(server, flow));
    const request = randomBytes(10_000);
    atClient.finish(request);
    await new Promise((resolve) => atClient.socket.once('finish', resolve));
    const heard = socket.unreadBytes(server);
    loopback.thaw(server);
    const atServer = new Stream(server);
    const toServer = (await atServer.ended()).equals(request);
    const response = randomBytes(10_000);
    atServer.finish(response);
    return { outcome, heard, toServer, toClient: (await atClient.ended()).equals(response) };
  },

  /** Three dumps in a row, as after two rejections, and then the connection stays after all. */
  async thaw(host, listener) {
    const { client, server, flow } = loopback.connectPair(listener, host);
    const atClient = new Stream(client);
    const request = randomBytes(5000);
    atClient.socket.write(request);
    await loopback.until(() => socket.unreadBytes(server) === request.length);
    loopback.freeze(server);
    const response = randomBytes(300_000);
    socket.setOption(server, socket.SOL_SOCKET, socket.SO_SNDBUFFORCE, response.length * 4);
    loopback.sendAll(server, response);
    const snapshots = Array.from({ length: 3 }, () => loopback.snapshotOf(server, flow));
    // The clock ticks on from dump to dump; nothing else may differ.
    for (const snapshot of snapshots) snapshot.fill(0, layout.TIMESTAMP, layout.TIMESTAMP + 4);

    const during = randomBytes(50_000);
    atClient.socket.write(during);
    const heard = socket.unreadBytes(server) - request.length;
    loopback.thaw(server);
    const arrived = await exchange(atClient, new Stream(server), request, request, {
      toServer: [request, during],
      toClient: [response],
    });
    return { ...arrived, heard, same: snapshots.every((snapshot) => snapshot.equals(snapshots[0])) };
  },

  /** An urgent byte lies in the middle of the unread data. */
  async urgent(host, listener) {
    const { client, server, flow } = loopback.connectPair(listener, host);
    const parts = [randomBytes(3000), Buffer.from('!'), randomBytes(4000)];
    loopback.sendAll(client, parts[0]);
    loopback.sendAll(client, parts[1], MSG_OOB);
    loopback.sendAll(client, parts[2]);
    await loopback.until(() => socket.unreadBytes(server) === 7001);
    loopback.freeze(server);
    const outcome = loopback.outcomeOf(() => loopback.snapshotOf(server, flow));
    loopback.thaw(server);
    const atServer = new Stream(server);
    // One side after the other: libuv takes the short read in front of an urgent byte for the last one when both
    // directions are closed already (uv__stream_io).
    const atClient = new Stream(client).finish(parts[0]);
    const atServerAll = await atServer.ended();
    atServer.finish(parts[2]);
    return {
      outcome,
      toServer: atServerAll.equals(Buffer.concat([...parts, parts[0]])),
      toClient: (await atClient.ended()).equals(parts[2]),
    };
  },
};

loopback.run(async ({ scenario, family }) => {
  const host = family === 4 ? '127.0.0.1' : '::1';
  const listener = loopback.listen(host);
  const result = await SCENARIOS[scenario](host, listener);
  libc.close(listener);
  return result;
});
