import { once } from 'node:events';
import { STATUS_CODES, type RequestListener } from 'node:http';
import { refusingEndpoint } from '../health/servers';
import { bench, eachHead, get, httpOrigin, rawOrigin, tearDown } from './harness';

afterEach(tearDown);

/** Every answer ends with a full stop, so that a test knows when it is complete. */
const echoPath: RequestListener = (request, response) => {
  request.resume();
  response.end(`${request.url ?? ''}.`);
};

/** The front's reader has judged the first request only; Node's parser takes all of these. */
describe('a later request that leaves in doubt what it asks for is refused', () => {
  const line = (target: string): string => `GET ${target} HTTP/1.1\r\n`;
  const HOST = 'Host: a\r\n';
  test.each([
    ['a fragment', `${line('/x#y')}${HOST}`, 400],
    ['a backslash', `${line('/x\\..\\y')}${HOST}`, 400],
    ['Host twice', `${line('/x')}${HOST}${HOST}`, 400],
    ['two hosts in one', `${line('/x')}Host: a, b\r\n`, 400],
    ['user information', `${line('/x')}Host: a@b\r\n`, 400],
    ['a Host beyond ASCII', `${line('/x')}Host: \xe4\r\n`, 400],
    ['a path in Host', `${line('/x')}Host: a/b\r\n`, 400],
    ['an upgrade with Host twice', `${line('/x')}${HOST}${HOST}Connection: Upgrade\r\nUpgrade: x\r\n`, 400],
    ['HTTP/2.0', `GET /x HTTP/2.0\r\n${HOST}`, 505],
    ['HTTP/0.9', `GET /x HTTP/0.9\r\n${HOST}`, 505],
  ])('%s', async (_name, head, status) => {
    const heads: string[] = [];
    const origin = await rawOrigin((socket) => {
      eachHead(socket, (seen) => {
        heads.push(seen);
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n.');
      });
    });
    const { client } = await bench(origin);
    const raw = client();
    await raw.send(get('/first')).until(/\.$/);
    await raw.send(`${head}\r\n`).until(`HTTP/1.1 ${status} `);
    expect(heads.map((seen) => seen.slice(0, seen.indexOf('\r')))).toEqual(['GET /first HTTP/1.1']);
  });
});

describe('several requests on one connection', () => {
  test('one after the other', async () => {
    const { client, statuses } = await bench(await httpOrigin(echoPath));
    const raw = client();
    for (const path of ['/1', '/2', '/3']) await raw.send(get(path)).until(`\r\n\r\n${path}.`);
    expect(statuses).toEqual([200, 200, 200]);
  });

  test('pipelined: answered in order, served one at a time', async () => {
    let running = 0;
    let most = 0;
    const origin = await httpOrigin((request, response) => {
      most = Math.max(most, ++running);
      setImmediate(() => {
        running -= 1;
        response.end(`${request.url ?? ''}.`);
      });
    });
    const { client } = await bench(origin);
    const paths = Array.from({ length: 50 }, (_, i) => `/${i}`);
    const text = await client()
      .send(paths.map((path) => get(path)).join(''))
      .until(/\/49\.$/);
    expect(text.match(/(?<=\n)\/\d+(?=\.)/g)).toEqual(paths);
    expect(most).toBe(1);
  });

  test('pipelined behind a body', async () => {
    const { client } = await bench(await httpOrigin(echoPath));
    const post = 'POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello';
    const text = await client()
      .send(post + get('/2'))
      .until(/\/2\.$/);
    expect(text.match(/(?<=\n)\/\d(?=\.)/g)).toEqual(['/1', '/2']);
  });

  test('far too many at once end the connection', async () => {
    const { client } = await bench(await httpOrigin(() => undefined));
    await client().send(get().repeat(200)).closed;
  });

  test('an Upgrade behind a request that still runs ends the connection', async () => {
    const { client } = await bench(await httpOrigin(() => undefined));
    const raw = client().send(get() + get('/', 'Connection: Upgrade', 'Upgrade: x'));
    expect(await raw.toEnd()).toBe('');
  });
});

describe('an Upgrade that is not worth passing on', () => {
  const UPGRADE = ['Connection: Upgrade, HTTP2-Settings', 'HTTP2-Settings: AAMA'];

  test.each([
    ['for h2c', get('/p', ...UPGRADE, 'Upgrade: h2c')],
    ['with a body', `${get('/p', 'Upgrade: x', ...UPGRADE, 'Content-Length: 4').replace('GET', 'POST')}body`],
    ['from HTTP/1.0', get('/p', ...UPGRADE, 'Upgrade: x', 'Connection: keep-alive').replace('1.1', '1.0')],
  ])('%s is an ordinary request, and so is the next', async (_name, text) => {
    const seen: (string | undefined)[] = [];
    const origin = await httpOrigin((request, response) => {
      const { upgrade, 'http2-settings': settings, 'x-forwarded-for': client } = request.headers;
      seen.push(upgrade, settings as string | undefined, client as string);
      void request.toArray().then((body) => {
        const answer = `${request.url ?? ''}:${Buffer.concat(body as Buffer[]).toString()}.`;
        response.writeHead(200, { 'content-length': answer.length }).end(answer);
      });
    });
    const { client } = await bench(origin);
    const raw = client().send(text);
    await raw.until(/\r\n\r\n\/p:(?:body)?\.$/);
    await raw.send(get('/next')).until(/\/next:\.$/);
    expect(seen).toEqual([undefined, undefined, '127.0.0.1', undefined, undefined, '127.0.0.1']);
  });
});

describe('what the parser does not accept', () => {
  const POST = 'POST / HTTP/1.1\r\nHost: a\r\n';

  test.each([
    ['octets that are no request', 400, 'nonsense\r\n\r\n'],
    ['a length and chunks', 400, `${POST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`],
    ['two lengths', 400, `${POST}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`],
    ['no host', 400, 'GET / HTTP/1.1\r\n\r\n'],
    ['a head that is too large', 431, get('/', `X: ${'x'.repeat(75_000)}`)],
  ])('%s: %d, and the connection is closed', async (_name, status, text) => {
    const { client, errors } = await bench(await httpOrigin(echoPath));
    expect(await client().send(text).toEnd()).toMatch(
      new RegExp(`^HTTP/1\\.1 ${status} [^]*Connection: close\r\n`, 'i'),
    );
    expect(errors).toEqual([]);
  });

  test('does not get into the middle of a response', async () => {
    const { client } = await bench(
      await httpOrigin((_request, response) =>
        response.writeHead(200, { 'content-length': 9 }).write('part'),
      ),
    );
    const raw = client().send(get());
    await raw.until(/part$/);
    raw.send('nonsense\r\n\r\n');
    expect(await raw.toEnd()).toMatch(/part$/);
  });
});

test('a field beyond the two-thousandth is still seen', async () => {
  const origin = await httpOrigin((request, response) => {
    void request.toArray().then((body) => response.end(Buffer.concat(body as Buffer[])));
  });
  const { client } = await bench(origin);
  const head = `POST / HTTP/1.1\r\nHost: a\r\n${'a:\r\n'.repeat(2100)}Content-Length: 5\r\n\r\n`;
  expect(
    await client()
      .send(`${head}hello`)
      .until(/hello$/),
  ).toMatch(/^HTTP\/1\.1 200 /);
});

test.each([
  { why: 'no origin for now', status: 503, head: /^HTTP\/1\.1 503 [^]*\r\nRetry-After: 1\r\n/ },
  { why: 'no route', status: 404, head: /^HTTP\/1\.1 404 / },
] as const)('$why: $status, and the connection goes on', async ({ status, head }) => {
  const { client, statuses } = await bench(status);
  const body = `${status} ${STATUS_CODES[status] ?? ''}\n`;
  const raw = client().send(get());
  expect(await raw.until(new RegExp(`${body}$`))).toMatch(head);
  await raw.send(get()).until(new RegExp(`(?:${body}[^]*){2}$`));
  const tunnel = client().send(get('/', 'Connection: Upgrade', 'Upgrade: x'));
  expect(await tunnel.toEnd()).toMatch(head);
  expect(statuses).toEqual([status, status, status]);
});

describe('clients that take too long', () => {
  test('over a head: 408', async () => {
    const server = { headersTimeout: 50, requestTimeout: 50, checkInterval: 20 };
    const { client } = await bench(await httpOrigin(echoPath), { server });
    expect(await client().send('GET / HTTP/1.1\r\nHo').toEnd()).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('before their next request: closed', async () => {
    const { client } = await bench(await httpOrigin(echoPath), { server: { keepAliveTimeout: 20 } });
    const raw = client().send(get('/1'));
    expect(await raw.toEnd()).toMatch(/\r\n\r\n\/1\.$/);
  });

  test('over everything: the origin is let go', async () => {
    let gone: Promise<unknown> | undefined;
    const origin = await rawOrigin((socket) => {
      gone = once(socket, 'close');
      socket.resume();
    });
    const { client } = await bench(origin, { server: { idleTimeout: 50 } });
    await client().send(get()).closed;
    await gone;
  });
});

test('a client that closes its side has left', async () => {
  const { client, errors } = await bench(await httpOrigin(() => undefined));
  const raw = client();
  raw.socket.end(get());
  expect(await raw.toEnd()).toBe('');
  expect(errors).toEqual([]);
});

describe('an answer in place of an origin', () => {
  const ANSWER = { status: 200, fields: ['X-Answer', 'yes'], body: Buffer.from('ok.') };

  test('is given to every request, without a body to HEAD, and the connection goes on', async () => {
    const { client, statuses } = await bench(ANSWER);
    const raw = client().send(get());
    expect(await raw.until(/\r\n\r\nok\.$/)).toMatch(
      /^HTTP\/1\.1 200 OK\r\nX-Answer: yes\r\nContent-Length: 3\r\n/,
    );
    raw.received = '';
    raw.send(get().replace('GET', 'HEAD') + get('/last', 'Connection: close'));
    expect((await raw.toEnd()).split('\r\n\r\n').slice(1)).toEqual([expect.stringMatching(/^HTTP/), 'ok.']);
    expect(raw.received.match(/Content-Length: 3/g)).toHaveLength(2);
    expect(statuses).toEqual([200, 200, 200]);
  });

  test('without a body has no length', async () => {
    const { client } = await bench({ ...ANSWER, status: 204, body: Buffer.alloc(0) });
    const text = await client().send(get('/', 'Connection: close')).toEnd();
    expect(text).toMatch(/^HTTP\/1\.1 204 [^]*\r\n\r\n$/);
    expect(text).not.toMatch(/content-length|transfer-encoding/i);
  });

  test('comes without a 100, before a body that nobody reads', async () => {
    const { client } = await bench({ ...ANSWER, status: 403 });
    const raw = client().send(get('/', 'Expect: 100-continue', 'Content-Length: 5').replace('GET', 'POST'));
    expect(await raw.until(/ok\.$/)).toMatch(/^HTTP\/1\.1 403 [^]*Connection: close\r\n/);
    expect(await raw.send('hello').toEnd()).not.toContain(' 100 ');
    expect(raw.error).toBeUndefined();
  });

  test('to an upgrade ends the connection', async () => {
    const { client, statuses } = await bench({ ...ANSWER, status: 403 });
    const text = await client()
      .send(get('/', 'Connection: Upgrade', 'Upgrade: x'))
      .toEnd();
    expect(text).toMatch(/^HTTP\/1\.1 403 [^]*Connection: close\r\n\r\nok\.$/);
    expect(statuses).toEqual([403]);
  });

  test('does not hide that it is in doubt what is asked for', async () => {
    const { client, statuses } = await bench(ANSWER);
    await client().send('GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n').until('HTTP/1.1 400 ');
    expect(statuses).toEqual([400]);
  });
});

describe('changes of a head', () => {
  const changes = {
    path: '/a',
    set: [
      ['X-Tenant', 'gold'],
      ['X-Forwarded-Proto', 'https'],
    ] as const,
    without: ['x-debug', 'x-forwarded-for', 'x-tenant', 'x-forwarded-proto'],
  };
  const sent = [
    'X-TENANT: forged',
    'X-Debug: 1',
    'X-Kept: 2',
    'X-Forwarded-For: 192.0.2.1',
    'Connection: x-tenant',
  ];

  /** The fields that are changed, as the origin sees them. */
  function changed(head: string): string[] {
    const lines = head
      .split('\r\n')
      .filter((line) => /^x-(tenant|debug|kept|forwarded-(for|proto))/i.test(line));
    return [head.split('\r\n')[0] ?? '', ...lines];
  }
  const WANTED = ['X-Kept: 2', 'X-Forwarded-For: 127.0.0.1', 'X-Tenant: gold', 'X-Forwarded-Proto: https'];

  test('reach the origin, with the query and the body, also where it is another one', async () => {
    const heads: string[] = [];
    const there = await rawOrigin((socket) => {
      eachHead(socket, (head) => {
        heads.push(head);
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n.');
      });
    });
    const { port } = await refusingEndpoint();
    const origin = `http://127.0.0.1:${port}`;
    const { client } = await bench({ origin, another: () => there, changes });
    await client()
      .send(get('/api/a?b=/api', ...sent))
      .until(/\r\n\r\n\.$/);
    expect(heads.map(changed)).toEqual([['GET /a?b=/api HTTP/1.1', ...WANTED]]);
  });

  test('reach it with an upgrade, too', async () => {
    const heads: string[] = [];
    const origin = await rawOrigin((socket) => {
      eachHead(socket, (head) => {
        heads.push(head);
        socket.end('HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n');
      });
    });
    const { client } = await bench({ origin, changes });
    await client()
      .send(get('/api/a?b', ...sent.slice(0, -1), 'Connection: Upgrade', 'Upgrade: x'))
      .toEnd();
    expect(heads.map(changed)).toEqual([['GET /a?b HTTP/1.1', ...WANTED]]);
  });
});
