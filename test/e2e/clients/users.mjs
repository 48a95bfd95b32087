/**
 * One GET for each of many users, who are told by the header `x-user`, each on a connection of its own; prints who was served
 * by which node.
 *
 * Options: { address, sources, count, parallel }.
 */
import { connect } from 'node:net';
import { exchange, jsonOf, options, runJobs } from './load.mjs';

const { address, sources, ...load } = options();
const places = [];
const result = await runJobs(load, ask);
console.log(JSON.stringify({ ...result, places }));

async function ask(k) {
  const request = `GET /who HTTP/1.1\r\nHost: users\r\nX-User: user-${k}\r\nConnection: close\r\n\r\n`;
  const socket = connect({ host: address, port: 80, localAddress: sources[k % sources.length] });
  const answer = [];
  await exchange(socket, [request].values(), (piece) => answer.push(piece));
  places[k] = jsonOf(answer).node;
}
