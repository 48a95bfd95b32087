/**
 * One long session with config/echo.mjs or config/chat.mjs: says something again and again, and wants each answer to be the right
 * one, in order, with the session's counter and name in it. Prints `talking` after the first answer, and when its standard input
 * ends, and the last answer is there, as JSON: { said, wrong: [...], ms } with durations from word to answer.
 *
 * Options: { kind: 'echo' | 'chat', address, port, localAddress, pauseMs: [least, most] }
 */
import { connect } from 'node:net';
import WebSocket from 'ws';
import { options } from './load.mjs';

const { kind, address, port, localAddress, pauseMs } = options();
const NAME = 'the-one';
const PATIENCE_MS = 10_000;

const result = { said: 0, wrong: [], ms: [] };
let stopping = false;
let heard;

/** The next answer, or an error when none comes. */
function answer() {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no answer')), PATIENCE_MS);
    heard = (text) => {
      clearTimeout(timer);
      resolve(text);
    };
  });
}

function fail(error) {
  result.wrong.push(String(error));
  finish();
}

function finish() {
  console.log(JSON.stringify(result));
  process.exit(0);
}

function openEcho() {
  const socket = connect({ host: address, port, localAddress });
  let rest = '';
  socket.on('data', (piece) => {
    rest += piece.toString();
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      heard?.(rest.slice(0, end));
      rest = rest.slice(end + 1);
    }
  });
  socket.on('error', fail);
  socket.on('end', () => fail('ended'));
  // In two pieces: a line may be cut by a move.
  return (text) => {
    const half = Math.floor(text.length / 2);
    socket.write(text.slice(0, half));
    setTimeout(() => socket.write(`${text.slice(half)}\n`), Math.random() * 3);
  };
}

function openChat() {
  const socket = new WebSocket(`ws://${address}:${port}/`, { localAddress });
  socket.on('message', (data) => heard?.(data.toString()));
  socket.on('error', fail);
  socket.on('close', () => fail('closed'));
  return (text) => socket.send(text);
}

const say = kind === 'echo' ? openEcho() : openChat();
await answer();
const named = answer();
say(kind === 'echo' ? `/name ${NAME}` : `/nick ${NAME}`);
await named;
process.stdin.on('end', () => (stopping = true)).resume();
// The naming was a line of the echo's, and no text of the chat's.
const before = kind === 'echo' ? 1 : 0;
while (!stopping) {
  const n = result.said + 1;
  const text = `word ${n} ${'x'.repeat((n * 37) % 200)}`;
  const expected = kind === 'echo' ? `${n + before} ${NAME} ${text}` : `${NAME} (${n}): ${text}`;
  const began = performance.now();
  const answered = answer();
  say(text);
  try {
    const got = await answered;
    if (got !== expected) fail(`${got} instead of ${expected}`);
  } catch (error) {
    fail(`${error.message} to ${text}`);
  }
  result.ms.push(Math.round((performance.now() - began) * 100) / 100);
  result.said = n;
  if (n === 1) console.log('talking');
  const [least, most] = pauseMs;
  await new Promise((done) => setTimeout(done, least + Math.random() * (most - least)));
}
finish();
