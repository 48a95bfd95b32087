/**
 * Numbered datagrams: what a cable does to packets can be seen in them.
 *
 *   node datagrams.cjs receive PORT           says `ready`; at the first byte of its input it prints what has come, as JSON
 *   node datagrams.cjs send ADDRESS PORT N    sends N of them, in small bursts
 */
const dgram = require('node:dgram');
const { setTimeout: sleep } = require('node:timers/promises');

const BURST = 20;
const PAUSE_MS = 2;

const now = () => Number(process.hrtime.bigint()) / 1e6;

function receive(port) {
  const seen = new Set();
  const result = { received: 0, doubled: 0, overtaken: 0, latestMs: 0 };
  let highest = -1;
  const socket = dgram.createSocket('udp6').bind(port, () => console.log('ready'));
  socket.on('message', (message) => {
    const number = message.readUInt32BE(0);
    result.received += 1;
    result.latestMs = Math.max(result.latestMs, now() - message.readDoubleBE(4));
    if (seen.has(number)) result.doubled += 1;
    else if (number < highest) result.overtaken += 1;
    seen.add(number);
    highest = Math.max(highest, number);
  });
  process.stdin.once('data', () => {
    console.log(JSON.stringify({ ...result, distinct: seen.size }));
    process.exit(0);
  });
}

async function send(address, port, count) {
  const socket = dgram.createSocket('udp6');
  const message = Buffer.alloc(100);
  for (let number = 0; number < count; number++) {
    message.writeUInt32BE(number, 0);
    message.writeDoubleBE(now(), 4);
    socket.send(Buffer.from(message), port, address);
    if (number % BURST === BURST - 1) await sleep(PAUSE_MS);
  }
  socket.close();
}

const [mode, ...rest] = process.argv.slice(2);
if (mode === 'receive') receive(Number(rest[0]));
else void send(rest[0], Number(rest[1]), Number(rest[2]));
