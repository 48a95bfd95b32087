/**
 * The handler in a server that makes it as easy as it gets to serve a request too many: its parser tolerates everything,
 * and it listens for upgrades. `/echo` becomes a WebSocket, any other upgrade is refused.
 */
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import handle, { note } from './handler.mjs';

const echo = new WebSocketServer({ noServer: true });
echo.on('connection', (socket, request) => {
  const { headers } = request;
  socket.send(
    JSON.stringify({ node: process.env.BATON_NODE, client: request.socket.remoteAddress, headers }),
  );
  socket.on('message', (message, binary) => socket.send(message, { binary }));
});

const REFUSAL = 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n';

export function addUpgrades(server) {
  return server.on('upgrade', (request, socket, head) => {
    note(request, 'UPGRADE');
    if (request.url === '/echo')
      echo.handleUpgrade(request, socket, head, (ws) => echo.emit('connection', ws, request));
    else socket.end(REFUSAL, () => socket.destroySoon());
  });
}

export default addUpgrades(createServer({ insecureHTTPParser: true }, handle));
