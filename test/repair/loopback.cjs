// What the fixtures of this directory share: connections over loopback whose ends are bare descriptors, so that nothing
// reads or acknowledges unless a scenario wants it. DIST is the first argument of the program.
const net = require('node:net');
const { createHash } = require('node:crypto');
const { once } = require('node:events');

const dist = process.argv[2];
const socket = require(`${dist}/kernel/socket`);
const libc = require(`${dist}/kernel/libc`);
const flows = require(`${dist}/kernel/flow`);
const { DumpBuffer, dump, release, silence, thaw, unmoved } = require(`${dist}/repair/dump`);
const { freeze } = require(`${dist}/repair/freeze`);
const { Restorer, goLive, roomToProbe, unsentPart } = require(`${dist}/repair/restore`);
const layout = require(`${dist}/repair/layout`);

const PORT = 8080;
const INFO_STATE = 0;
const INFO_OPTIONS = 5;
/** Values of tcp_info's state (include/net/tcp_states.h). */
const STATE = { established: 1, finWait1: 4, timeWait: 6, closeWait: 8 };

const restorer = new Restorer();

const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');

function must(result, step) {
  if (result < 0) throw new Error(`${step}: errno ${-result}`);
  return result;
}

/** Awaits a condition; the test's own timeout ends a process in which it never comes true. */
async function until(condition) {
  while (!condition()) await new Promise(setImmediate);
}

function addressOf(host, port) {
  const address = Buffer.alloc(flows.SOCKADDR_BYTES);
  return [address, flows.sockaddrFromEndpoint(host, port, address)];
}

function listen(host) {
  return socket.listenOn({ host, port: PORT, backlog: 8, deferAccept: 0 });
}

/** A client's descriptor, connected from `port`, or from any port. */
function dial(host, port = 0) {
  const family = host.includes(':') ? socket.AF_INET6 : socket.AF_INET;
  const fd = must(libc.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC, 0), 'socket');
  must(socket.setOption(fd, socket.SOL_SOCKET, socket.SO_REUSEADDR, 1), 'reuse address');
  if (port !== 0) must(libc.bind(fd, ...addressOf(host, port)), 'bind client');
  must(libc.connect(fd, ...addressOf(host, PORT)), 'connect');
  return fd;
}

function portOf(fd) {
  const address = Buffer.alloc(flows.SOCKADDR_BYTES);
  must(socket.localAddress(fd, address), 'getsockname');
  return address.readUInt16BE(2);
}

/** One connection: the client's descriptor, the accepted one, and its flow. */
function connectPair(listener, host, port) {
  const client = dial(host, port);
  const server = must(socket.accept(listener, Buffer.alloc(flows.SOCKADDR_BYTES)), 'accept');
  return { client, server, flow: flows.makeFlow(host, portOf(client), host, PORT) };
}

function sendAll(fd, bytes, flags = 0) {
  for (let done = 0; done < bytes.length;) {
    done += must(
      libc.send(fd, bytes.subarray(done), bytes.length - done, flags | socket.MSG_DONTWAIT),
      'send',
    );
  }
}

/** Writes until nothing more is taken; returns how many bytes were. */
function sendUntilFull(fd) {
  const piece = Buffer.alloc(65_536, 7);
  for (let sent = 0; ;) {
    const taken = libc.send(fd, piece, piece.length, socket.MSG_DONTWAIT);
    if (taken < 0) return sent;
    sent += taken;
  }
}

function infoByte(fd, at) {
  const info = Buffer.alloc(8);
  must(socket.getOption(fd, socket.IPPROTO_TCP, socket.TCP_INFO, info, info.length), 'TCP_INFO');
  return info[at];
}

const stateOf = (fd) => infoByte(fd, INFO_STATE);
const optionsOf = (fd) => infoByte(fd, INFO_OPTIONS) & 7;

/** The snapshot of a frozen connection, in memory of its own; the socket is in repair afterwards. */
function snapshotOf(fd, flow) {
  const into = new DumpBuffer();
  const length = dump(fd, flow, into);
  const snapshot = Buffer.from(into.bytes.subarray(0, length));
  if (!unmoved(fd, snapshot.readUInt32BE(layout.RECEIVE_SEQUENCE))) throw new Error('queue moved');
  silence(fd);
  layout.checkSnapshot(snapshot, 0, length);
  return snapshot;
}

/** Ends the silence of a restored connection and wraps it; what the send buffer did not take is written behind. */
function live(fd, snapshot) {
  const rest = unsentPart(snapshot, 0, snapshot.length);
  const taken = goLive(fd, rest, roomToProbe(snapshot, 0) >= 0);
  const wrapped = new Stream(fd);
  if (taken < rest.length) wrapped.socket.write(rest.subarray(taken));
  return wrapped;
}

/** An end of a connection as Node sees it, with everything that it has received. */
class Stream {
  #received = [];
  length = 0;

  constructor(fd) {
    this.socket = new net.Socket({ fd, allowHalfOpen: true });
    this.socket.on('data', (chunk) => {
      this.#received.push(chunk);
      this.length += chunk.length;
    });
  }

  get received() {
    return Buffer.concat(this.#received);
  }

  /** Writes `bytes` and a FIN. */
  finish(bytes) {
    this.socket.end(bytes);
    return this;
  }

  async ended() {
    if (!this.socket.readableEnded) await once(this.socket, 'end');
    return this.received;
  }
}

/** Lets both ends send and finish: whether each received exactly what the other one sent. */
async function exchange(client, server, toServer, toClient, before = { toServer: [], toClient: [] }) {
  client.finish(toServer);
  server.finish(toClient);
  const [atClient, atServer] = await Promise.all([client.ended(), server.ended()]);
  return {
    toServer: digest(atServer) === digest(Buffer.concat([...before.toServer, toServer])),
    toClient: digest(atClient) === digest(Buffer.concat([...before.toClient, toClient])),
  };
}

/** How an attempt ends: the code of its RepairError, 'done', or another error's name and message. */
function outcomeOf(attempt) {
  try {
    attempt();
    return 'done';
  } catch (error) {
    return error.name === 'RepairError' ? error.code : `${error.name}: ${error.message}`;
  }
}

/** Runs a program's scenarios and prints what each returns as a line of JSON. */
function run(scenario) {
  (async () => {
    for (const given of JSON.parse(process.argv[3])) {
      console.log(JSON.stringify({ given, ...(await scenario(given)) }));
    }
    process.exit(0);
  })().catch((error) => {
    console.error(error);
    process.exit(1);
  });
}

module.exports = {
  socket,
  libc,
  flows,
  layout,
  restorer,
  freeze,
  thaw,
  release,
  STATE,
  Stream,
  connectPair,
  dial,
  digest,
  exchange,
  listen,
  live,
  must,
  optionsOf,
  outcomeOf,
  portOf,
  run,
  sendAll,
  sendUntilFull,
  snapshotOf,
  stateOf,
  until,
};
