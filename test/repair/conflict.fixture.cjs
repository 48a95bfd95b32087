// Runs in a network namespace of its own: restoring where something is in the way.
// Usage: node conflict.fixture.cjs DIST '[{ scenario, family }, ...]'   -> a JSON line for each
//
// Both ends of a connection are dumped and released, so that its addresses are free on this host. An ordinary connection
// between the same addresses then leaves the remains that a scenario needs, and both ends are restored over them.
const { randomBytes } = require('node:crypto');
const { once } = require('node:events');
const { execFileSync } = require('node:child_process');
const { closeSync, openSync, readdirSync, readFileSync, writeFileSync } = require('node:fs');
const loopback = require('./loopback.cjs');
const { exchange, flows, layout, libc, restorer, Stream } = loopback;

const PORT = 8080;

/** Sockets of the server's side of a flow in a state, as /proc/net/tcp counts them. */
function countIn(state, family, clientPort) {
  const table = readFileSync(family === 4 ? '/proc/self/net/tcp' : '/proc/self/net/tcp6', 'latin1');
  const hex = (value, digits) => value.toString(16).toUpperCase().padStart(digits, '0');
  const row = new RegExp(
    `: [0-9A-F]+:${hex(PORT, 4)} [0-9A-F]+:${hex(clientPort, 4)} ${hex(state, 2)} `,
    'g',
  );
  return (table.match(row) ?? []).length;
}

/** Takes a connection's ends off this host, silently: two snapshots are left. */
function takeBothEnds(listener, host) {
  const { client, server, flow } = loopback.connectPair(listener, host);
  const port = loopback.portOf(client);
  loopback.freeze(client);
  loopback.freeze(server);
  const taken = {
    port,
    server: loopback.snapshotOf(server, flow),
    // Seen from the client's end, the server is the peer.
    client: loopback.snapshotOf(client, flows.makeFlow(host, PORT, host, port)),
  };
  loopback.release(server);
  loopback.release(client);
  return taken;
}

/** Restores both ends; neither hears anything before both are there. */
async function restoreBothEnds(taken, replacesOpen = false) {
  const client = restorer.restore(taken.client, 0);
  const server = restorer.restore(taken.server, 0, replacesOpen);
  const data = [randomBytes(100_000), randomBytes(100_000)];
  return exchange(loopback.live(client, taken.client), loopback.live(server, taken.server), ...data);
}

/** The server closes first and is left in TIME_WAIT, the client in nothing. */
async function leaveTimeWait(listener, host, port) {
  const { client, server } = loopback.connectPair(listener, host, port);
  const atServer = new Stream(server).finish(Buffer.from('bye'));
  const atClient = new Stream(client);
  await atClient.ended();
  atClient.finish();
  await atServer.ended();
}

/** The client vanishes without a word, the server's end stays ESTABLISHED. Returns it. */
function leaveEstablished(listener, host, port) {
  const { client, server, flow } = loopback.connectPair(listener, host, port);
  loopback.freeze(client);
  loopback.snapshotOf(client, flow);
  loopback.release(client);
  return server;
}

/** With timestamps a new connection may follow a TIME_WAIT at once, without them it may not (tcp_twsk_unique). */
function allowTimestamps(allowed) {
  writeFileSync('/proc/sys/net/ipv4/tcp_timestamps', allowed ? '1' : '0');
}

/** Leaves this process `free` descriptors; returns the undo. */
function crowd(free) {
  const limit = readdirSync('/proc/self/fd').length + 50;
  execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${limit}:`]);
  const filling = [];
  try {
    for (;;) filling.push(openSync('/dev/null'));
  } catch (error) {
    if (error.code !== 'EMFILE') throw error;
  }
  filling.splice(0, free).forEach((fd) => closeSync(fd));
  return () => {
    filling.forEach((fd) => closeSync(fd));
    execFileSync('prlimit', ['--pid', String(process.pid), '--nofile=1024:']);
  };
}

const SCENARIOS = {
  async timeWait(host, listener, family) {
    allowTimestamps(true);
    return SCENARIOS.overTimeWait(host, listener, family);
  },

  async timeWaitInTheWay(host, listener, family) {
    allowTimestamps(false);
    return SCENARIOS.overTimeWait(host, listener, family);
  },

  async overTimeWait(host, listener, family) {
    const taken = takeBothEnds(listener, host);
    await leaveTimeWait(listener, host, taken.port);
    const before = countIn(loopback.STATE.timeWait, family, taken.port);
    return { before, ...(await restoreBothEnds(taken)) };
  },

  async established(host, listener, family) {
    const taken = takeBothEnds(listener, host);
    const old = leaveEstablished(listener, host, taken.port);
    const before = countIn(loopback.STATE.established, family, taken.port);
    // Nobody has said that it may go.
    const unasked = loopback.outcomeOf(() => restorer.restore(taken.server, 0));
    const arrived = await restoreBothEnds(taken, true);
    // The old socket is dead, and its owner is told: ECONNABORTED (tcp_abort, net/ipv4/tcp.c).
    const told = libc.recv(old, Buffer.alloc(1), 1, 0);
    libc.close(old);
    return { before, unasked, told, ...arrived };
  },

  /** The old connection's process has closed it, and its client has not got everything yet. */
  async unfinished(host, listener, family) {
    const taken = takeBothEnds(listener, host);
    const { client, server } = loopback.connectPair(listener, host, taken.port);
    // More than the client's kernel takes: the rest waits in the server's, also when its descriptor is closed.
    const sent = loopback.sendUntilFull(server);
    libc.close(server);
    const before = countIn(loopback.STATE.finWait1, family, taken.port);
    const outcome = loopback.outcomeOf(() => restorer.restore(taken.server, 0));
    const old = new Stream(client);
    const arrived = (await old.ended()).length === sent;
    await once(old.finish().socket, 'close');
    return { before, outcome, arrived, ...(await restoreBothEnds(taken)) };
  },

  /** Somebody listens at the address: no remains of a connection, and to be left alone. */
  async listener(host, listener, family) {
    const { SockDiag } = require(`${process.argv[2]}/kernel/sock-diag`);
    const taken = takeBothEnds(listener, host);
    const diag = new SockDiag();
    const found = diag.find(taken.server, layout.FLOW);
    diag.close();
    return { found: found === undefined, ...(await restoreBothEnds(taken)) };
  },

  /** The old connection cannot be destroyed because the process has no descriptor left to ask for it. */
  async crowded(host, listener, family) {
    allowTimestamps(false);
    const taken = takeBothEnds(listener, host);
    await leaveTimeWait(listener, host, taken.port);
    const before = countIn(loopback.STATE.timeWait, family, taken.port);
    const { Restorer } = require(`${process.argv[2]}/repair/restore`);
    const fresh = new Restorer();
    const relieve = crowd(1);
    const outcome = loopback.outcomeOf(() => fresh.restore(taken.server, 0));
    relieve();
    return { before, outcome, ...(await restoreBothEnds(taken)) };
  },

  async notLocal(host, listener, family) {
    const taken = takeBothEnds(listener, host);
    const vip = family === 4 ? '198.19.255.1' : '2001:2:0:ff::ffff';
    const client = family === 4 ? '198.18.1.1' : '2001:2::1';
    const foreign = Buffer.from(taken.server);
    flows.makeFlow(client, taken.port, vip, PORT).copy(foreign, layout.FLOW);
    const descriptors = readdirSync('/proc/self/fd').length;
    const outcome = loopback.outcomeOf(() => restorer.restore(foreign, 0));
    const leaked = readdirSync('/proc/self/fd').length - descriptors;
    return { outcome, leaked, ...(await restoreBothEnds(taken)) };
  },
};

loopback.run(async ({ scenario, family }) => {
  const host = family === 4 ? '127.0.0.1' : '::1';
  const listener = loopback.listen(host);
  const result = await SCENARIOS[scenario](host, listener, family);
  libc.close(listener);
  return result;
});
