/**
 * Has connections move: POSTs /v1/flows/move for one of `flows` after the other, `count` times, so many in a second, on connections
 * that it keeps, and prints as a JSON line how many `moved`, and in how many `seconds`, when the last answer is there.
 *
 * Options: { port, token, flows, count, perSecond }
 */
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { options } from './load.mjs';

const { port, token, flows, count, perSecond } = options();
const agent = new Agent({ keepAlive: true });

function move(flow) {
  const body = JSON.stringify({ flow });
  return new Promise((done, failed) => {
    const asked = request({
      host: '127.0.0.1',
      port,
      path: '/v1/flows/move',
      method: 'POST',
      agent,
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        'content-length': body.length,
      },
    });
    asked.once('error', failed);
    asked.once('response', (response) => response.resume().once('end', () => done(response.statusCode)));
    asked.end(body);
  });
}

const began = performance.now();
const answers = [];
for (let n = 0; n < count; n++) {
  await sleep(Math.max(0, began + (n * 1000) / perSecond - performance.now()));
  answers.push(move(flows[n % flows.length]));
}
const moved = (await Promise.all(answers)).filter((status) => status === 200).length;
console.log(JSON.stringify({ moved, seconds: (performance.now() - began) / 1000 }));
