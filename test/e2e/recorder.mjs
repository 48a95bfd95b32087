/**
 * An application that keeps every request that it has read to its end, and answers with it. As a program of its own, with
 * HOST and PORT as arguments, it is an ordinary server.
 *
 *     GET /seen   [{ method, url, host, body }] of all requests so far but these
 */
import { createServer } from 'node:http';

const seen = [];

const server = createServer((request, response) => {
  if (request.url === '/seen') {
    response.end(JSON.stringify(seen));
    return;
  }
  const { method, url, headers } = request;
  let body = '';
  request.setEncoding('latin1').on('data', (text) => (body += text));
  request.on('end', () => {
    seen.push({ method, url, host: headers.host ?? '', body });
    response.end('ok');
  });
});

export default server;

const [, program, host, port] = process.argv;
if (program === import.meta.filename) {
  server.listen(Number(port), host, () => console.log('listening'));
}
