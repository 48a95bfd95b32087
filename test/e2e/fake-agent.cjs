/**
 * An agent that misbehaves: `node fake-agent.cjs ADDRESS PORT MODE`. It says a line for every channel and offer.
 *
 *   reject        says hello properly and rejects every offer
 *   garbage       answers with bytes that are no frame
 *   late-garbage  says hello properly, and sends garbage instead of an answer to an offer
 *   silent        accepts and says nothing
 *   version       says hello in a version of the protocol that nobody speaks
 *   die           says of offers that they are prepared, a dozen at a time, and its process ends with the first COMMIT
 *   forget        likewise, but only the channel ends; its list of live flows stays empty
 *   mute          says hello properly and answers no offer
 *   deaf          says hello properly for many offers, and then reads nothing; its pings go on, so that it passes for alive
 */
const net = require('node:net');
const { Channel } = require('../../dist/wire/channel');
const frames = require('../../dist/wire/frames');
const { decodeFrontHello, encodeAgentHello } = require('../../dist/wire/hello');

const [address, port, mode] = process.argv.slice(2);
const HELLO = { node: 'fake', vips: ['198.19.0.1'], offers: 64 };
const TOGETHER = 12;
const waiting = [];
const GARBAGE = 'HTTP/1.1 400 Bad Request\r\n\r\n';

function greet(channel, text) {
  const { role } = decodeFrontHello(text);
  console.log(`hello from ${role}`);
  const hello = encodeAgentHello(HELLO);
  channel.sendText(frames.HELLO, mode === 'version' ? hello.replace('[1]', '[99]') : hello);
  if (role === 'keeper') channel.sendFlows(frames.FLOWS, [], true);
}

function answer(channel, socket, id) {
  console.log('offer');
  if (mode === 'mute') return;
  if (mode === 'late-garbage') socket.write(GARBAGE);
  else if (mode === 'die' || mode === 'forget') prepareTogether(channel, Buffer.from(id));
  else channel.sendRejected(id.readUInt32BE(0), id.readUInt32BE(4), 'kernel');
}

/** Answers when there are some, so that their COMMITs come together. */
function prepareTogether(channel, id) {
  waiting.push(id);
  if (waiting.length < TOGETHER) return;
  for (const each of waiting.splice(0)) {
    channel.sendId(frames.PREPARED, each.readUInt32BE(0), each.readUInt32BE(4));
  }
}

/** Without a Channel, which would find the other end silent. */
function talkDeaf(socket) {
  const hello = Buffer.from(encodeAgentHello({ ...HELLO, offers: 65_536 }));
  const frame = (type, payload) => {
    const header = Buffer.alloc(frames.FRAME_HEADER_BYTES);
    header.writeUInt32BE(payload.length, 0);
    header[4] = type;
    socket.write(Buffer.concat([header, payload]));
  };
  frame(frames.HELLO, hello);
  const timer = setInterval(() => frame(frames.PING, Buffer.alloc(0)), 1000);
  socket.once('close', () => clearInterval(timer));
}

function talk(socket) {
  const channel = new Channel(socket, {
    onFrame: (type, bytes, offset, length) => {
      if (type === frames.HELLO) greet(channel, bytes.toString('utf8', offset, offset + length));
      if (type === frames.OFFER) answer(channel, socket, bytes.subarray(offset, offset + frames.ID_BYTES));
      if (type === frames.COMMIT && mode === 'die') process.exit(1);
      if (type === frames.COMMIT && mode === 'forget') socket.destroy();
      if (type === frames.LIST) channel.sendFlows(frames.FLOWS, [], true);
    },
    onClose: (cause) => console.log(`closed: ${cause}`),
  });
}

net
  .createServer((socket) => {
    console.log('channel');
    socket.on('error', () => socket.destroy());
    if (mode === 'garbage') socket.write(GARBAGE);
    else if (mode === 'silent') socket.resume();
    else if (mode === 'deaf') talkDeaf(socket);
    else talk(socket);
  })
  .listen(Number(port), address, () => console.log('fake agent is listening'));
