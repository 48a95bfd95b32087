import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Cluster, type Settings } from '../../src/lab/cluster';
import { VIP4, VIP6 } from '../../src/lab/topology';
import { ACCEPTED, REFUSED, type AcceptedCase, type Reading, type RefusedCase } from '../smuggling/cases';
import { ClientSockets } from './faults/client-sockets';
import type { RawConnection } from './faults/raw-connection';
import { descriptorsOf, untilNothingLeft } from './faults/remains';
import { countsOf, curl, expectHandedOff, report, type Counts } from './support';

/**
 * What smuggles requests past others, sent to the real programs: the front answers it by itself and nobody else sees a
 * byte, or it is handed over and the application sees what the front has read, once, and nothing more.
 */

const RECORDER = join(__dirname, 'recorder.mjs');
const START_MS = 15_000;
const UPSTREAM_PORT = 8081;
/** Where a connection stays with the backend of its first request; on port 80 it carries one request. */
const KEPT_PORT = 81;
/** Refused connections at once. */
const ABREAST = 16;
/** A response that follows another; bodies contain no such line. */
const STATUS_LINE = /HTTP\/1\.1 (\d{3}) /g;

let cluster: Cluster;
let sockets: ClientSockets;
let descriptors: number;

/** A front whose only backend for these hosts is `k`. */
const settings = (of: Cluster, k: number): Settings => ({
  listeners: [
    { name: 'web', bind: `${VIP4}:80`, protocol: 'http' },
    { name: 'web6', bind: `[${VIP6}]:80`, protocol: 'http' },
    { name: 'kept', bind: `${VIP4}:${KEPT_PORT}`, protocol: 'http', routing: 'per-connection' },
    { name: 'kept6', bind: `[${VIP6}]:${KEPT_PORT}`, protocol: 'http', routing: 'per-connection' },
  ],
  // A second pool, so that later requests could belong elsewhere.
  routes: [{ match: { host: 'nobody.test' }, pool: 'other' }, { pool: 'web' }],
  // Whatever is not handed over is missed.
  pools: {
    web: { fallback: 'refuse', backends: [of.backend(k)] },
    other: { fallback: 'refuse', backends: [of.backend(1), of.backend(2)] },
  },
});

beforeAll(async () => {
  cluster = await Cluster.start({
    app: RECORDER,
    backends: 2,
    front: (of) => settings(of, 1),
    agent: (k) => (k === 2 ? { serve: { upstream: `http://127.0.0.1:${UPSTREAM_PORT}` } } : {}),
  });
  const argv = [process.execPath, RECORDER, '127.0.0.1', `${UPSTREAM_PORT}`];
  await cluster.lab.host('b2').spawn(argv).waitForLine('listening', START_MS);
  sockets = await ClientSockets.start(cluster.client);
  descriptors = descriptorsOf(cluster.front);
}, 60_000);

afterAll(async () => {
  await sockets.stop();
  await cluster.destroy();
});

afterEach(() => untilNothingLeft(cluster, descriptors), 30_000);

/** Every request that the application of a backend has read so far. */
async function seenBy(k: number): Promise<Reading[]> {
  const host = cluster.lab.host(`b${k}`);
  const origin = k === 1 ? `${host.address4}:8080` : `127.0.0.1:${UPSTREAM_PORT}`;
  return JSON.parse(await curl(host, [`http://${origin}/seen`])) as Reading[];
}

/** One half of the cases goes over IPv6. */
function vipOf(index: number): string {
  return index % 2 === 0 ? VIP4 : VIP6;
}

/** Sends the bytes and returns what the front answers, which is all there is. */
async function refusal({ bytes }: RefusedCase, index: number): Promise<{ status: number; rest: string }> {
  const connection = await sockets.connect({ host: vipOf(index) });
  try {
    await connection.send(bytes);
    expect(await connection.ended()).toBe('FIN');
    const { status, head } = await connection.response();
    expect(head).toMatch(/^connection: close\r$/im);
    return { status, rest: connection.text };
  } finally {
    connection.close();
  }
}

function refusals(reason: string): Promise<number> {
  return cluster.frontMetric('baton_heads_refused_total', { reason });
}

test('what is refused gets its answer and its end, and no application sees any of it', async () => {
  const before = await countsOf(cluster);
  const answers: { name: string; status: number; rest: string }[] = [];
  for (let at = 0; at < REFUSED.length; at += ABREAST) {
    const group = REFUSED.slice(at, at + ABREAST);
    const got = await Promise.all(group.map((one, index) => refusal(one, index)));
    answers.push(...got.map((answer, index) => ({ name: group[index]?.name ?? '', ...answer })));
  }
  expect(answers).toEqual(REFUSED.map(({ name, status }) => ({ name, status, rest: '' })));

  const reasons = [...new Set(REFUSED.map(({ reason }) => reason))];
  const counted = await Promise.all(reasons.map(async (reason) => [reason, await refusals(reason)] as const));
  expect(Object.fromEntries(counted)).toEqual(
    Object.fromEntries(
      reasons.map((reason) => [reason, REFUSED.filter((one) => one.reason === reason).length]),
    ),
  );
  await expectHandedOff(cluster, before, 0, REFUSED.length);
  expect([await seenBy(1), await seenBy(2)]).toEqual([[], []]);
  report(`${REFUSED.length} heads refused for ${reasons.length} reasons, 0 requests seen behind the front`);
}, 60_000);

interface Answered {
  readonly name: string;
  readonly answers: readonly number[];
}

/** Whether the server refuses a message, or what is behind it, by itself. */
const isLeft = ({ answers }: AcceptedCase): boolean => answers[0] === 400;

/**
 * Sends the bytes, then says that there will be no more, and returns the status of every response. A front keeps a
 * connection whose client has closed its side, so that has to wait until it is handed over.
 */
async function answersTo(
  { name, bytes }: AcceptedCase,
  port: { readonly host: string; readonly port: number },
  handedOver: (connection: RawConnection) => Promise<unknown>,
): Promise<Answered> {
  const connection = await sockets.connect(port);
  try {
    await connection.send(bytes);
    await handedOver(connection);
    connection.finish();
    await connection.ended();
    const answers = [...connection.text.matchAll(STATUS_LINE)].map(([, status]) => Number(status));
    return { name, answers };
  } finally {
    connection.close();
  }
}

/** Where a gate is in front of the server, what is behind a message does not cost that its answer. */
function judgedAnswers({ seen, bytes, judged }: AcceptedCase): readonly number[] {
  if (judged !== undefined) return judged.answers;
  if (seen.length === 0) return [400];
  return bytes.includes('\0') ? [200, 400] : [200];
}

async function useOnly(k: number): Promise<void> {
  cluster.writeFrontConfig(settings(cluster, k));
  expect(await cluster.frontPost('/v1/reload')).toMatchObject({ status: 200 });
  await cluster.allUp();
}

/** An upstream gets its requests from a relay, which writes their targets and hosts and answers for itself (RFC 9112 section 3.2). */
function seenByUpstream({ bytes, seen }: AcceptedCase): Reading[] {
  const nameless = !/^host:/im.test(bytes.slice(0, bytes.indexOf('\r\n\r\n')));
  return seen
    .filter(({ url }) => url !== '*')
    .map((one) => {
      const [, host, url] = /^http:\/\/([^/]*)(.*)/i.exec(one.url) ?? [];
      if (host !== undefined && url !== undefined) return { ...one, host, url };
      return nameless ? { ...one, host: `127.0.0.1:${UPSTREAM_PORT}` } : one;
    });
}

describe.each([
  { serves: 'an app', k: 1 },
  { serves: 'an upstream', k: 2 },
])('what is accepted, served by $serves', ({ k }) => {
  beforeAll(() => useOnly(k));

  describe.each([
    { how: 'requests that are judged', port: 80, judged: true },
    { how: 'connections that are kept', port: KEPT_PORT, judged: false },
  ])('$how', ({ port, judged }) => {
    /** What the application has seen of the cases, and what was answered; each was handed over. */
    async function outcomeOf(
      count: number,
      send: (before: Counts) => Promise<Answered[]>,
    ): Promise<{ answers: Answered[]; seen: Reading[] }> {
      const [before, earlier] = await Promise.all([countsOf(cluster), seenBy(k)]);
      const answers = await send(before);
      await expectHandedOff(cluster, before, count);
      return { answers, seen: (await seenBy(k)).slice(earlier.length) };
    }

    test('is read as the front has read it, once, and nothing else is', async () => {
      const list = ACCEPTED.filter((one) => !isLeft(one));
      const { answers, seen } = await outcomeOf(list.length, async () => {
        const all: Answered[] = [];
        for (const [index, one] of list.entries())
          all.push(
            await answersTo(one, { host: vipOf(index), port }, (connection) => connection.responses(1)),
          );
        return all;
      });
      expect(answers).toEqual(list.map(({ name, answers }) => ({ name, answers })));
      expect(seen).toEqual(list.flatMap(k === 1 ? (one) => one.seen : seenByUpstream));
      report(`${list.length} connections handed over, ${seen.length} requests seen, each of them asked for`);
    }, 60_000);

    test('is read no further where the server refuses it', async () => {
      const list = ACCEPTED.filter(isLeft).map((one) => ({
        ...one,
        ...(judged && one.judged && { seen: one.judged.seen }),
      }));
      const { answers, seen } = await outcomeOf(list.length, ({ handedOff }) => {
        // A server may wait for more of what cannot be read, so no answer tells.
        const all = cluster.until('all are handed over', async () => {
          const ok = await cluster.frontMetric('baton_handoffs_total', { result: 'ok' });
          return ok === handedOff + list.length;
        });
        return Promise.all(list.map((one, index) => answersTo(one, { host: vipOf(index), port }, () => all)));
      });
      // All at once, they come in any order.
      const rest = list.flatMap(k === 1 ? (one) => one.seen : seenByUpstream);
      const strangers = seen.filter((one) => {
        const at = rest.findIndex((other) => isDeepStrictEqual(one, other));
        return at < 0 || rest.splice(at, 1).length === 0;
      });
      expect(strangers).toEqual([]);
      // A relay that waits for its upstream closes without a word, and may not have asked it yet.
      if (k === 1) expect(rest).toEqual([]);
      const silent = answers.filter(({ answers }) => k === 2 && answers.length === 0).map(({ name }) => name);
      expect(answers).toEqual(
        list.map((one) => ({
          name: one.name,
          answers: silent.includes(one.name) ? [] : judged ? judgedAnswers(one) : [400],
        })),
      );
      report(
        `${list.length} connections handed over and refused, ${silent.length} of them without a word; ` +
          `${seen.length} requests seen in front of that`,
      );
    }, 60_000);
  });
});
