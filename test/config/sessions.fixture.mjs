/**
 * Sessions of the example services that move between any two octets that a client sends. For each place a connection is given to
 * the application, which lets go there; then it adopts another one, with the state and what it has put back, or has it back. Prints for each service what its client hears without a move, and at how many places it heard something else.
 */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import * as chat from '../../config/chat.mjs';
import echo from '../../config/echo.mjs';

const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
await once(server, 'listening');

/** The frame of a client, whose mask hides nothing. */
function frame(opcode, payload = '') {
  const length = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 255];
  const bytes = [0x80 | opcode, 0x80 | length[0], ...length.slice(1), 0, 0, 0, 0];
  return Buffer.concat([Buffer.from(bytes), Buffer.from(payload)]);
}

const SERVICES = {
  echo: {
    adopt: echo.adopt,
    first: { name: 'somebody', lines: 41 },
    sent: Buffer.from('one\n/name me\r\nzwölf\n\nthe last'),
  },
  chat: {
    adopt: chat.adopt,
    first: { nick: 'guest', said: 6 },
    sent: Buffer.concat([
      frame(1, 'one'),
      frame(9, 'ping'),
      frame(1, '/nick me'),
      frame(1, 'x'.repeat(130)),
      frame(8),
    ]),
  },
};

const connectionOn = (socket) => ({ socket, client: { address: '192.0.2.1', port: 1 } });

async function until(condition) {
  while (!condition()) await new Promise(setImmediate);
}

/** A client with the socket at the other end; `over` resolves with all that it has heard. */
async function open() {
  const accepted = once(server, 'connection');
  const client = connect({
    port: server.address().port,
    host: '127.0.0.1',
    noDelay: true,
    allowHalfOpen: true,
  });
  const [socket] = await accepted;
  let heard = '';
  client.setEncoding('latin1').on('data', (piece) => (heard += piece));
  const over = once(client, 'end').then(() => heard);
  return { client, socket, over };
}

/** What a client hears of a service that lets go after `place` octets, and has its connection back or moves to another one. */
async function hear({ adopt, first, sent }, place, back) {
  const before = await open();
  const { client, socket } = before;
  const connection = connectionOn(socket);
  adopt(connection, Buffer.from(JSON.stringify(first)));
  client.write(sent.subarray(0, place));
  await until(() => socket.bytesRead === place && socket.readableLength === 0);
  const state = await connection.onMove();
  if (back) {
    connection.onStay();
    client.end(sent.subarray(place));
    return before.over;
  }
  const unread = socket.read();
  socket.end(() => socket.destroy());
  const after = await open();
  if (unread !== null) after.socket.unshift(unread);
  adopt(connectionOn(after.socket), state);
  after.client.end(sent.subarray(place));
  return (await before.over) + (await after.over);
}

const result = {};
for (const [name, service] of Object.entries(SERVICES)) {
  const whole = await hear(service, 0, true);
  const places = Array.from({ length: service.sent.length }, (_, k) => k);
  const wrong = [];
  for (const back of [false, true]) {
    for (const place of places) {
      if ((await hear(service, place, back)) !== whole) wrong.push({ place, back });
    }
  }
  result[name] = { whole, places: places.length, wrong };
}
console.log(JSON.stringify(result));
process.exit(0);
