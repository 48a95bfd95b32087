/**
 * One GET per connection, from several source addresses in turn. Every answer has to name the very address and port that
 * the request was sent from.
 *
 * Options: { address, sources, count, parallel }.
 */
import { connect } from 'node:net';
import { check, exchange, jsonOf, options, runJobs } from './load.mjs';

const REQUEST = 'GET /who HTTP/1.1\r\nHost: short\r\nConnection: close\r\n\r\n';

const { address, sources, ...load } = options();
const nodes = {};
const result = await runJobs(load, ask);
console.log(JSON.stringify({ ...result, nodes }));

async function ask(k) {
  const source = sources[k % sources.length];
  const socket = connect({ host: address, port: 80, localAddress: source });
  let port;
  socket.once('connect', () => (port = socket.localPort));
  const answer = [];
  await exchange(socket, [REQUEST].values(), (piece) => answer.push(piece));
  const who = jsonOf(answer);
  check('client', who.client, source);
  check('port', who.port, port);
  nodes[who.node] = (nodes[who.node] ?? 0) + 1;
}
