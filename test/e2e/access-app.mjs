/**
 * The application with what an access log has to tell apart, and a WebSocket echo:
 *
 *     GET  /fail           500
 *     GET  /chunks?n=N     a body in N chunks
 */
import { createServer } from 'node:http';
import handle from './app.mjs';
import { addEcho } from './echo-server.mjs';

export default addEcho(
  createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://app');
    if (pathname === '/fail') response.writeHead(500).end('failed\n');
    else if (pathname === '/chunks') sendChunks(response, Number(searchParams.get('n')));
    else handle(request, response);
  }),
);

function sendChunks(response, left) {
  if (left === 0) return response.end();
  response.write(`${left} chunks to come\n`);
  return setImmediate(sendChunks, response, left - 1);
}
