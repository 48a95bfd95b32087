/**
 * Holds conversations by lines over TCP: each line is said when the one before has come back.
 *
 * Options: { address, port, count (1), greeted (false), lines, gate, halfClose, linger }
 *   greeted    the first line is the server's
 *   gate       so many lines are said, then `talking` is printed, and the others follow when standard input ends
 *   halfClose  said last, with the end of this side
 *   linger     after the last line waits for the other side's end, without ending this one
 * Result: for each connection { port, heard, ended }, `ended` being `end`, or the code of the error.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { options, SILENT_MS } from './load.mjs';

const {
  address,
  port,
  count = 1,
  greeted = false,
  lines = [],
  gate = Infinity,
  halfClose,
  linger = false,
} = options();

let waiting = count;
const opened = gate === Infinity ? undefined : once(process.stdin, 'end');
if (opened) process.stdin.resume();

/** The lines that come over a socket, one after the other; undefined when it has ended. */
class Lines {
  #lines = [];
  #rest = '';
  #over = false;
  #told = () => undefined;

  constructor(socket) {
    socket.setEncoding('utf8').on('data', (piece) => {
      const lines = (this.#rest + piece).split('\n');
      this.#rest = lines.pop() ?? '';
      this.#lines.push(...lines);
      this.#told();
    });
    for (const event of ['end', 'close']) {
      socket.once(event, () => {
        this.#over = true;
        this.#told();
      });
    }
  }

  async next() {
    while (this.#lines.length === 0 && !this.#over) await new Promise((resolve) => (this.#told = resolve));
    return this.#lines.shift();
  }
}

async function talk() {
  const socket = connect({ host: address, port, allowHalfOpen: true });
  socket.setTimeout(SILENT_MS, () => socket.destroy(Object.assign(new Error('silent'), { code: 'SILENT' })));
  let ended;
  let localPort;
  socket.once('connect', () => ({ localPort } = socket));
  socket.on('error', ({ code }) => (ended = code));
  socket.on('end', () => (ended ??= 'end'));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const come = new Lines(socket);
  const heard = [];
  const hear = async () => {
    const line = await come.next();
    if (line !== undefined) heard.push(line);
    return line !== undefined;
  };
  let there = !greeted || (await hear());
  for (const [k, line] of lines.entries()) {
    if (k === gate) {
      if (--waiting === 0) console.log('talking');
      await opened;
    }
    if (!there) break;
    socket.write(`${line}\n`);
    there = await hear();
  }
  if (halfClose !== undefined) socket.end(`${halfClose}\n`);
  if (halfClose !== undefined || linger) while (await hear());
  socket.end();
  await closed;
  return { port: localPort, heard, ended };
}

console.log(JSON.stringify(await Promise.all(Array.from({ length: count }, talk))));
process.exit(0);
