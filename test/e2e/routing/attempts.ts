/** Ways to reach `/b` over a connection that was opened with `/a`. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseResponses, type RawConnection, type RawResponse } from '../faults/raw-connection';

/** What the application says of a request. */
export interface Answer {
  readonly node: string;
  readonly method: string;
  readonly url: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Waits for the first final response; for 100 Continue; for the packets so far to be dealt with. */
type Wait = 'answered' | 'continued' | 'pause';
/** What to send, in a packet or one octet at a time. */
type Step = { readonly send: string; readonly slowly?: boolean } | Wait;

export interface Attempt {
  readonly name: string;
  readonly steps: readonly Step[];
  /** What the first response must be: its status, and what the application says in it where that is 200. */
  readonly first: Partial<Answer> & { readonly status: number };
  /** Final responses that there may be at most. */
  readonly requests: number;
}

export interface Outcome {
  readonly first: RawResponse | undefined;
  /** Final responses behind the first. */
  readonly later: readonly RawResponse[];
  readonly ended: boolean;
}

const PAUSE_MS = 20;
/** Whether a connection ends or its last response comes: both take milliseconds on an idle machine. */
const SETTLE_MS = 10_000;

/** Stands for the host that is asked; all have names of this length. */
const ANY_HOST = 'k0.test';
const HOST = `Host: ${ANY_HOST}\r\n`;
const B = `GET /b HTTP/1.1\r\n${HOST}\r\n`;
const BODY = 'the body of the first request';
/** A body that would make a request. */
const REQUEST = 'GET /b HTTP/1.1\r\nHost: a\r\n\r\n';
const EARLY_BYTES = 256 * 1024;

function get(url: string, fields = '', line = 'HTTP/1.1'): string {
  return `GET ${url} ${line}\r\n${HOST}${fields}\r\n`;
}

function post(fields: string, url = '/a'): string {
  return `POST ${url} HTTP/1.1\r\n${HOST}${fields}\r\n`;
}

const sends = (...texts: readonly string[]): Step[] => texts.map((send) => ({ send }));
const octets = (send: string): Step[] => [{ send, slowly: true }];
/** The same in packets of their own, with time in between. */
const paced = (...texts: readonly string[]): Step[] =>
  sends(...texts).flatMap((step) => [step, 'pause' as const]);

const LENGTH = `Content-Length: ${BODY.length}\r\n`;
const CHUNKED = 'Transfer-Encoding: chunked\r\n';
const CHUNKS = `5;x=y\r\n${BODY.slice(0, 5)}\r\n${(BODY.length - 5).toString(16)}\r\n${BODY.slice(5)}\r\n0\r\nT: ${BODY}\r\n\r\n`;
const UPGRADE = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n';
const H2C =
  'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n';
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

const A = { status: 200, method: 'GET', url: '/a', bytes: 0 };
const posted = (body: string) => ({
  status: 200,
  method: 'POST',
  url: '/a',
  bytes: body.length,
  sha256: createHash('sha256').update(body).digest('hex'),
});
const POSTED = posted(BODY);

/** An attempt whose first request is a GET with these fields, and whose second follows its answer. */
function withFields(name: string, fields: string, line?: string): Attempt {
  return { name, steps: [...sends(get('/a', fields, line)), 'answered', ...sends(B)], first: A, requests: 2 };
}

/** How the first lets the second in is the same for all of these: not at all. */
const after = (
  name: string,
  head: string,
  rest: readonly Step[],
  first: Attempt['first'] = POSTED,
): Attempt => {
  return { name, steps: [...sends(head), 'pause', ...rest], first, requests: 2 };
};

export const ATTEMPTS: readonly Attempt[] = [
  // One after the other.
  withFields('after the answer', ''),
  {
    name: 'after an answer with keep-alive',
    steps: [...sends(get('/a/keep')), 'answered', ...sends(B)],
    first: { ...A, url: '/a/keep' },
    requests: 2,
  },
  {
    name: 'after the answer, in pieces',
    steps: [...sends(get('/a')), 'answered', ...octets(B)],
    first: A,
    requests: 2,
  },
  {
    name: 'after HEAD',
    steps: [...sends(`HEAD /a HTTP/1.1\r\n${HOST}\r\n`), 'answered', ...sends(B)],
    first: { status: 200 },
    requests: 2,
  },
  {
    name: 'in absolute form',
    steps: [
      ...sends('GET http://k0.test/a HTTP/1.1\r\nHost: k0.test\r\n\r\n'),
      'answered',
      ...sends('GET http://k0.test/b HTTP/1.1\r\nHost: k0.test\r\n\r\n'),
    ],
    first: { ...A, url: 'http://k0.test/a' },
    requests: 2,
  },
  withFields('after HTTP/1.0', '', 'HTTP/1.0'),
  withFields(
    'after HTTP/1.0 with keep-alive',
    'Connection: keep-alive\r\nKeep-Alive: timeout=99\r\n',
    'HTTP/1.0',
  ),

  // Pipelined, seen by the front or not.
  { name: 'in one packet', steps: sends(get('/a') + B), first: A, requests: 2 },
  { name: 'twenty times in one packet', steps: sends(get('/a') + B.repeat(20)), first: A, requests: 21 },
  {
    name: 'in one packet, in part',
    steps: [...sends(get('/a') + B.slice(0, 9)), 'pause', ...sends(B.slice(9))],
    first: A,
    requests: 2,
  },
  { name: 'in pieces', steps: octets(get('/a') + B), first: A, requests: 2 },
  {
    name: 'while the answer is on its way',
    steps: paced(get('/a/slow'), B),
    first: { ...A, url: '/a/slow' },
    requests: 2,
  },
  {
    name: 'in pieces while the answer is on its way',
    steps: paced(get('/a/slow'), B.slice(0, 7), B.slice(7), B),
    first: { ...A, url: '/a/slow' },
    requests: 3,
  },

  // Behind a body.
  after('behind a body', post(LENGTH), sends(BODY + B)),
  after('behind a body in pieces', post(LENGTH), octets(BODY + B)),
  { name: 'in one packet with a body', steps: sends(post(LENGTH) + BODY + B), first: POSTED, requests: 2 },
  after('behind chunks', post(CHUNKED), sends(CHUNKS + B)),
  after('behind chunks in pieces', post(CHUNKED), octets(CHUNKS + B)),
  { name: 'in one packet with chunks', steps: sends(post(CHUNKED) + CHUNKS + B), first: POSTED, requests: 2 },
  {
    name: 'after 100-continue',
    steps: [...sends(post(`${LENGTH}Expect: 100-continue\r\n`)), 'continued', ...sends(BODY + B)],
    first: POSTED,
    requests: 2,
  },
  {
    name: 'after 100-continue and chunks',
    steps: [...sends(post(`${CHUNKED}Expect: 100-continue\r\n`)), 'continued', ...sends(CHUNKS + B)],
    first: POSTED,
    requests: 2,
  },
  after(
    'behind a body that nobody wanted',
    post(`Content-Length: ${EARLY_BYTES}\r\n`, '/a/early'),
    sends('x'.repeat(EARLY_BYTES) + B),
    { status: 413 },
  ),
  after(
    'in place of a body',
    post(`Content-Length: ${REQUEST.length}\r\n`),
    sends(REQUEST + B),
    posted(REQUEST),
  ),
  after(
    'in place of a chunk',
    post(CHUNKED),
    sends(`${REQUEST.length.toString(16)}\r\n${REQUEST}\r\n0\r\n\r\n${B}`),
    posted(REQUEST),
  ),
  {
    name: 'behind a GET with a body',
    steps: [...sends(get('/a', LENGTH)), 'pause', ...sends(BODY + B)],
    first: { ...POSTED, method: 'GET' },
    requests: 2,
  },

  // Games with the fields of the connection.
  withFields('with keep-alive', 'Connection: keep-alive\r\n'),
  withFields('with keep-alive, close', 'Connection: keep-alive, close\r\n'),
  withFields('with close, keep-alive', 'Connection: close, keep-alive\r\n'),
  withFields('with close, then keep-alive', 'Connection: close\r\nConnection: keep-alive\r\n'),
  withFields('with keep-alive in odd spelling', 'connection:\tKEEP-ALIVE ,,\r\nKeep-Alive: max=100\r\n'),
  withFields('with Proxy-Connection', 'Proxy-Connection: keep-alive\r\n'),
  withFields('with an option that names Connection', 'Connection: keep-alive, Connection\r\n'),
  withFields(
    'with options that name other fields',
    'Connection: Host, Content-Length, TE, X\r\nTE: trailers\r\nX: 1\r\n',
  ),
  withFields('with an option that is none', 'Connection: "close, keep-alive"\r\n'),
  {
    name: 'with an option that names the chunks',
    steps: [...sends(post(`Connection: Transfer-Encoding\r\n${CHUNKED}`)), 'pause', ...sends(CHUNKS + B)],
    first: POSTED,
    requests: 2,
  },

  // Other protocols.
  withFields('after an upgrade without a Connection field', 'Upgrade: websocket\r\n'),
  withFields('after h2c', H2C),
  {
    name: 'by h2c',
    steps: [...sends(get('/a', H2C)), 'answered', ...sends(PREFACE + B)],
    first: A,
    requests: 2,
  },
  after('behind a body and h2c', post(H2C + LENGTH), sends(BODY + B)),
  after('behind a body and an upgrade', post(UPGRADE + LENGTH), sends(BODY + B)),
];

/** The last chance: an upgrade that is refused, by servers that know none and by those that do. */
export const UPGRADES: readonly Attempt[] = [
  {
    name: 'after a refused upgrade',
    steps: [...sends(get('/a/refused', UPGRADE)), 'answered', ...sends(B)],
    first: { status: 403 },
    requests: 2,
  },
  {
    name: 'in pieces after a refused upgrade',
    steps: [...sends(get('/a/refused', UPGRADE)), 'answered', ...octets(B)],
    first: { status: 403 },
    requests: 2,
  },
  {
    name: 'in one packet with an upgrade',
    steps: sends(get('/a/refused', UPGRADE) + B),
    first: { status: 403 },
    requests: 2,
  },
];

/** Those whose second request the front can see, and relays the connection where it may. */
export const PIPELINED: readonly Attempt[] = ATTEMPTS.filter(
  ({ name }) => name.includes('in one packet') && !name.includes('chunks'),
);

/** Sends what the attempt says to `host` and returns what came back until the connection ended or all was answered. */
export async function make(attempt: Attempt, connection: RawConnection, host: string): Promise<Outcome> {
  const headOnly = attempt.steps.some((step) => typeof step === 'object' && step.send.startsWith('HEAD '));
  const finals = (): RawResponse[] => finalResponses(connection.text, headOnly);
  const ended = (): boolean => !Number.isNaN(connection.endedAt);
  const until = async (condition: () => boolean): Promise<void> => {
    for (const limit = performance.now() + SETTLE_MS; !condition() && !ended() && performance.now() < limit;)
      await sleep(2);
  };
  for (const step of attempt.steps) {
    if (step === 'pause') await sleep(PAUSE_MS);
    else if (step === 'answered') await until(() => finals().length > 0);
    else if (step === 'continued') await until(() => connection.text.includes('100 Continue'));
    else await sendStep(connection, step.send.replaceAll(ANY_HOST, host), step.slowly === true);
  }
  await until(() => finals().length >= attempt.requests);
  const over = ended();
  connection.close();
  const [first, ...later] = finals();
  return { first, later, ended: over };
}

async function sendStep(connection: RawConnection, text: string, slowly: boolean): Promise<void> {
  for (const piece of slowly ? Array.from(text) : [text]) {
    if (Number.isNaN(connection.endedAt)) await connection.send(piece);
  }
}

function finalResponses(text: string, headOnly: boolean): RawResponse[] {
  if (!headOnly) return parseResponses(text).filter(({ status }) => status >= 200);
  const end = text.indexOf('\r\n\r\n') + 4;
  if (end < 4) return [];
  const head = text.slice(0, end);
  return [{ status: Number(head.slice(9, 12)), head, body: '' }, ...parseResponses(text.slice(end))];
}
