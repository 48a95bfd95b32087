/**
 * One GET per connection, from several source addresses in turn. Every answer has to name the very address and port that
 * the request was sent from. The `k`th is one of `user-k` (header `x-user`, and a cookie `user`); `places` says which node has
 * served whom.
 *
 * Options: { address, host, sources, count, parallel }.
 */
import { connect } from 'node:net';
import { check, exchange, jsonOf, options, runJobs } from './load.mjs';

const { address, host = 'short', sources, ...load } = options();
const places = [];
const result = await runJobs(load, ask);
console.log(JSON.stringify({ ...result, places }));

async function ask(k) {
  const user = `X-User: user-${k}\r\nCookie: theme=dark; user=user-${k}\r\n`;
  const request = `GET /who HTTP/1.1\r\nHost: ${host}\r\n${user}Connection: close\r\n\r\n`;
  const source = sources[k % sources.length];
  const socket = connect({ host: address, port: 80, localAddress: source });
  let port;
  socket.once('connect', () => (port = socket.localPort));
  const answer = [];
  await exchange(socket, [request].values(), (piece) => answer.push(piece));
  const who = jsonOf(answer);
  check('client', who.client, source);
  check('port', who.port, port);
  places[k] = who.node;
}
