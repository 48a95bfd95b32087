/** The application with a WebSocket echo beside it, as an http.Server that does not listen yet. */
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import handle from './app.mjs';

/** Adds the echo to a server: first it says who is there, then it sends every message back. */
export function addEcho(server) {
  new WebSocketServer({ server }).on('connection', (socket, request) => {
    const { headers } = request;
    socket.send(
      JSON.stringify({ node: process.env.BATON_NODE, client: request.socket.remoteAddress, headers }),
    );
    socket.on('message', (message, binary) => socket.send(message, { binary }));
  });
  return server;
}

export default addEcho(createServer(handle));
