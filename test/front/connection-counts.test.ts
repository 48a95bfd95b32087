import { Worker } from 'node:worker_threads';
import { makeFlow } from '../../src/kernel/flow';
import { ConnectionCounts } from '../../src/front/connection-counts';

const VIP = '198.19.0.1';
let port = 1024;

const flowOf = (client: string, vip = VIP, vipPort = 80): Buffer =>
  makeFlow(client, 1024 + (port++ % 60_000), vip, vipPort);

test('counts a connection while it is open, in the hands of the front and of an agent', () => {
  const counts = new ConnectionCounts();
  const flow = flowOf('198.18.1.1');
  const seen = (): number[] => [counts.ofVip(flow), counts.ofClient(flow)];
  counts.accepted(flow);
  expect(seen()).toEqual([1, 1]);
  counts.handed(flow);
  expect(seen()).toEqual([1, 1]);
  counts.over(flow);
  expect(seen()).toEqual([0, 0]);
  counts.accepted(flow);
  counts.left(flow);
  expect(seen()).toEqual([0, 0]);
});

test('tells clients and VIPs apart, but not the addresses of an IPv6 network', () => {
  const counts = new ConnectionCounts();
  const [a, b] = [flowOf('198.18.1.1'), flowOf('198.18.1.2')];
  const otherPort = flowOf('198.18.1.1', VIP, 443);
  for (const flow of [a, b, otherPort]) counts.accepted(flow);
  expect([a, b, otherPort].map((flow) => counts.ofClient(flow))).toEqual([1, 1, 1]);
  expect([a, b, otherPort].map((flow) => counts.ofVip(flow))).toEqual([2, 2, 1]);
  const six = ['2001:2:0:1::1', '2001:2:0:1::2', '2001:2:0:2::1'].map((each) => flowOf(each, '2001:2::1'));
  six.forEach((flow) => counts.accepted(flow));
  expect(six.map((flow) => counts.ofClient(flow))).toEqual([2, 2, 1]);
});

test('is never too low, and rarely too high: 10,000 clients with 1 to 3 connections each', () => {
  const counts = new ConnectionCounts();
  const clients = Array.from({ length: 10_000 }, (_, k) => `10.${k >> 16}.${(k >> 8) & 255}.${k & 255}`);
  for (const [k, client] of clients.entries()) {
    for (let n = 0; n <= k % 3; n++) counts.accepted(flowOf(client));
  }
  const excess = clients.map((client, k) => counts.ofClient(flowOf(client)) - 1 - (k % 3));
  expect(Math.min(...excess)).toBe(0);
  const wrong = excess.filter((more) => more > 0).length;
  process.stdout.write(`connection counts: ${wrong} of 10000 clients are taken for more than they have\n`);
  expect(wrong).toBeLessThan(100);
});

test('a recount sets what is handed, and nothing else', () => {
  const counts = new ConnectionCounts();
  const [lost, kept, inHand] = ['198.18.1.1', '198.18.1.2', '198.18.1.3'].map((each) => flowOf(each)) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  for (const flow of [lost, kept, inHand]) counts.accepted(flow);
  for (const flow of [lost, kept]) counts.handed(flow);
  const recount = counts.recount();
  recount.add(kept);
  recount.finish();
  expect([lost, kept, inHand].map((flow) => counts.ofClient(flow))).toEqual([0, 1, 1]);
  expect(counts.ofVip(kept)).toBe(2);
});

test('ends that outnumber the beginnings do not let anybody have more', () => {
  const counts = new ConnectionCounts();
  const flow = flowOf('198.18.1.1');
  counts.over(flow);
  expect(counts.ofClient(flow)).toBe(0);
});

test('threads share them', async () => {
  const counts = new ConnectionCounts();
  const flow = flowOf('198.18.1.1');
  counts.accepted(flow);
  const { memory } = counts;
  // A thread that has nothing of the house: the first two words are the seed, a counter is any other that is not 0.
  const worker = new Worker(
    'const { workerData: m, parentPort } = require("node:worker_threads");' +
      'parentPort.postMessage(new Int32Array(m).subarray(2).reduce((sum, n) => sum + n, 0))',
    { eval: true, workerData: memory },
  );
  const sum = await new Promise((resolve) => worker.once('message', resolve));
  await worker.terminate();
  // A VIP's counter and a client's, in each of two rows.
  expect(sum).toBe(4);
  expect(new ConnectionCounts(memory).ofClient(flow)).toBe(1);
});
