// Runs in a network namespace of its own, with CAP_BPF or without.
// Usage: node --expose-gc freeze.fixture.cjs DIST '[{ attaches }]'   -> a JSON line for each
//
// A frozen socket hears nothing, and hears it all when it is thawed; the filter is attached often, among garbage, so that
// one whose memory was collected would show.
const loopback = require('./loopback.cjs');
const dist = process.argv[2];
const { freeze, prepareAnyFreeze, unfreeze } = require(`${dist}/repair/freeze`);
const { libc, listen, must, socket, connectPair, sendAll, until } = loopback;

const BYTES = 1000;
/** A packet over loopback is delivered within the system call that sends it: what has not come by now was dropped. */
const SILENCE_MS = 50;

loopback.run(async ({ attaches }) => {
  const classicBecause = prepareAnyFreeze() ?? null;
  const { client, server } = connectPair(listen('127.0.0.1'), '127.0.0.1');
  let heard = 0;
  for (let i = 0; i < attaches; i++) {
    const fd = must(libc.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC, 0), 'socket');
    freeze(fd);
    libc.close(fd);
    Buffer.alloc(24, 0xff);
    if (i % 100 === 0) global.gc();
  }
  const began = performance.now();
  for (let i = 0; i < attaches; i++) {
    freeze(server);
    unfreeze(server);
  }
  const microseconds = ((performance.now() - began) / attaches) * 1000;
  freeze(server);
  sendAll(client, Buffer.alloc(BYTES, 1));
  await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
  heard = socket.unreadBytes(server);
  unfreeze(server);
  await until(() => socket.unreadBytes(server) === BYTES);
  return { classicBecause, heard, after: socket.unreadBytes(server), microseconds };
});
