import { createServer } from 'node:http';
import { hostname } from 'node:os';
import { connectionOf } from 'baton/connection';
import { handshake, WebSocket } from './web-socket.mjs';

const node = process.env.BATON_NODE ?? hostname();

const LONGEST_NICK = 32;

/** Who is here: members at other backends are not heard, for which a chat in earnest has a broker. */
const members = new Set();

/**
 * A chat over WebSockets: each text goes to all members at this backend, with the nick of who said it and how many that one has
 * said; `/nick NAME` changes the nick. A member's connection may move to another agent: nick and counter go along as state.
 */
const server = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify({ node, members: members.size })}\n`);
});

server.on('upgrade', (request, socket, head) => {
  const answer = handshake(request);
  if (answer === undefined) {
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    return;
  }
  socket.write(answer);
  if (head.length > 0) socket.unshift(head);
  const member = join(socket, { nick: `guest-${socket.remotePort}`, said: 0 });
  // None where the client has come by `serve.listen`, past the fronts: such a connection stays.
  const connection = connectionOf(socket);
  if (connection) letMove(connection, member);
  member.webSocket.send(`welcome to ${node}, ${member.session.nick}`);
});

/** Another backend has had the connection until now, and its client does not notice. */
export function adopt(connection, state) {
  letMove(connection, join(connection.socket, JSON.parse(state.toString())));
}

function join(socket, session) {
  const member = { session, webSocket: new WebSocket(socket, (text) => take(member, text)) };
  members.add(member);
  socket.on('error', () => socket.destroy());
  socket.on('end', () => socket.end());
  socket.on('close', () => members.delete(member));
  member.webSocket.start();
  return member;
}

function take({ session, webSocket }, text) {
  const [, nick] = /^\/nick (\S+)$/.exec(text) ?? [];
  if (nick !== undefined) {
    session.nick = nick.slice(0, LONGEST_NICK);
    webSocket.send(`you are ${session.nick}`);
    return;
  }
  session.said += 1;
  for (const each of members) each.webSocket.send(`${session.nick} (${session.said}): ${text}`);
}

function letMove(connection, member) {
  connection.onMove = () => {
    // Nothing more is said to this one from here on.
    members.delete(member);
    member.webSocket.stop();
    return Buffer.from(JSON.stringify(member.session));
  };
  connection.onStay = () => {
    members.add(member);
    member.webSocket.start();
  };
}

export default server;
