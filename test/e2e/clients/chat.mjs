/**
 * Says texts to the chat of config/chat.mjs, each when something has come back for the one before.
 *
 * Options: { address, texts }. Result: all that was heard, in its order.
 */
import WebSocket from 'ws';
import { options } from './load.mjs';

const TIMEOUT_MS = 10_000;

const { address, texts } = options();
setTimeout(() => fail(new Error(`not done within ${TIMEOUT_MS} ms`)), TIMEOUT_MS).unref();

const heard = [];
const socket = new WebSocket(`ws://${address}/`);
socket.on('error', fail);
socket.on('message', (data) => {
  const text = texts[heard.length];
  heard.push(data.toString());
  if (text === undefined) socket.close(1000);
  else socket.send(text);
});
socket.on('close', (code) => {
  if (code !== 1000) fail(new Error(`closed with ${code}`));
  console.log(JSON.stringify(heard));
});

function fail(error) {
  console.error(error.message);
  process.exit(1);
}
