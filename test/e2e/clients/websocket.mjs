/**
 * Sends messages through a WebSocket and checks each echo. Sizes reach over both limits at which a frame's length field
 * grows, 126 and 65,536 bytes.
 *
 * Options: { address, host, count }. Result: { first, messages, bytes, code }, `first` being the server's first message.
 */
import WebSocket from 'ws';
import { check, options } from './load.mjs';

/** Messages on their way at the same time. */
const WINDOW = 16;
const MOST_BYTES = 70_000;
const TIMEOUT_MS = 30_000;

const { address, host, count } = options();
const payload = Buffer.from(Array.from({ length: MOST_BYTES }, (_, k) => 97 + (k % 26)));
setTimeout(() => fail(new Error(`not done within ${TIMEOUT_MS} ms`)), TIMEOUT_MS).unref();

const socket = new WebSocket(`ws://${address}/echo`, { headers: { Host: host } });
let first;
let sent = 0;
let received = 0;
let bytes = 0;
socket.on('error', fail);
socket.on('message', (data, binary) => {
  if (first === undefined) {
    first = JSON.parse(data.toString());
    while (sent < Math.min(WINDOW, count)) sendNext();
    return;
  }
  checkEcho(data, binary);
  if (sent < count) sendNext();
  else if (received === count) socket.close(1000);
});
socket.on('close', (code) => console.log(JSON.stringify({ first, messages: received, bytes, code })));

/** Text and binary in turn; the sizes are spread over the whole range and start anywhere in the payload. */
function message(k) {
  const length = (k * 7_919) % MOST_BYTES;
  return { data: payload.subarray(k % 26, Math.min(MOST_BYTES, (k % 26) + length)), binary: k % 2 === 1 };
}

function sendNext() {
  const { data, binary } = message(sent);
  sent += 1;
  socket.send(binary ? data : data.toString('latin1'));
}

function checkEcho(data, binary) {
  const expected = message(received);
  try {
    check(`kind of message ${received}`, binary, expected.binary);
    check(`whether message ${received} came back as sent`, data.equals(expected.data), true);
  } catch (error) {
    fail(error);
  }
  received += 1;
  bytes += data.length;
}

function fail(error) {
  console.error(error.message);
  process.exit(1);
}
