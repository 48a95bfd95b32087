import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { deafEndpoint, refusingEndpoint } from '../health/servers';
import { bench, eachHead, get, httpOrigin, rawOrigin, tearDown } from './harness';

afterEach(tearDown);

/** An origin that answers every request head with the next of `answers`, and the heads that it got. */
async function scripted(...answers: string[]): Promise<{ origin: string; heads: string[] }> {
  const heads: string[] = [];
  const origin = await rawOrigin((socket) => {
    eachHead(socket, (head) => {
      heads.push(head);
      socket.write(answers[heads.length - 1] ?? '', 'latin1');
    });
  });
  return { origin, heads };
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('heads', () => {
  test('a request keeps its fields, their order and spelling', async () => {
    const { origin, heads } = await scripted(OK);
    const { client } = await bench(origin);
    const fields = ['X-oNe: 1', 'cookie: a=1', 'x-one: 2', 'Connection: x-hop', 'X-Hop: 1', 'Accept: \xe9'];
    await client()
      .send(get('/p%20q?r=s', ...fields))
      .until(/ok$/);
    expect(heads).toEqual([
      'GET /p%20q?r=s HTTP/1.1\r\nhost: a.example\r\nconnection: keep-alive\r\n' +
        'X-oNe: 1\r\ncookie: a=1\r\nx-one: 2\r\nAccept: \xe9\r\n' +
        'X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a.example\r\n\r\n',
    ]);
  });

  test('a response keeps its reason, fields, their order and spelling', async () => {
    const { origin } = await scripted(
      'HTTP/1.1 203 Quite Fine\r\nsEt-CooKie: a=1\r\nX-A: \xe9\r\nKeep-Alive: timeout=9\r\nSet-Cookie: b=2\r\n' +
        'Connection: keep-alive, x-hop\r\nX-Hop: 1\r\nDate: now\r\nContent-Length: 2\r\n\r\nok',
    );
    const { client, statuses } = await bench(origin);
    expect(await client().send(get()).until(/ok$/)).toBe(
      'HTTP/1.1 203 Quite Fine\r\nsEt-CooKie: a=1\r\nX-A: \xe9\r\nSet-Cookie: b=2\r\nDate: now\r\n' +
        'Content-Length: 2\r\nConnection: keep-alive\r\nKeep-Alive: timeout=75\r\n\r\nok',
    );
    expect(statuses).toEqual([203]);
  });

  test('a head without a body yet does not wait for it', async () => {
    const { origin } = await scripted('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n');
    const { client } = await bench(origin);
    await client().send(get()).until('\r\n\r\n');
  });

  test('an absolute target goes on in origin-form, its authority as Host', async () => {
    const { origin, heads } = await scripted(OK);
    const { client } = await bench(origin);
    await client().send('GET http://b.example/p HTTP/1.1\r\nHost: a.example\r\n\r\n').until(/ok$/);
    expect(heads[0]).toMatch(/^GET \/p HTTP\/1\.1\r\nhost: b\.example\r\n/);
  });

  test.each([
    ['HTTP/1.1 204 No Content\r\n\r\n', 'GET'],
    ['HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n', 'GET'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n', 'HEAD'],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n', 'HEAD'],
  ])('%j to %s has no body and the connection goes on', async (answer, method) => {
    const { origin } = await scripted(answer, OK);
    const { client } = await bench(origin);
    const raw = client().send(get().replace('GET', method));
    const first = await raw.until('\r\n\r\n');
    const rest = (await raw.send(get()).until(/ok$/)).slice(first.length);
    expect(first.split(' ')[1]).toBe(answer.split(' ')[1]);
    expect(rest).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  test('HEAD keeps the length', async () => {
    const { origin } = await scripted('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n');
    const { client } = await bench(origin);
    expect(await client().send(get().replace('GET', 'HEAD')).until('\r\n\r\n')).toContain(
      '\r\nContent-Length: 100\r\n',
    );
  });

  test('early hints go on, and only to those who know them', async () => {
    const hints =
      'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>; rel=preload\r\n\r\n';
    const { origin } = await scripted(hints + OK, hints + OK);
    const { client } = await bench(origin);
    expect(await client().send(get()).until(/ok$/)).toMatch(
      /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload, <\/b\.js>; rel=preload\r\n\r\nHTTP\/1\.1 200/,
    );
    expect(await client().send(get().replace('1.1', '1.0')).until(/ok$/)).toMatch(/^HTTP\/1\.1 200/);
  });

  test('a hint that Node refuses is dropped, the response is not', async () => {
    const { origin } = await scripted(`HTTP/1.1 103 Early Hints\r\nLink: nonsense\r\n\r\n${OK}`);
    const { client } = await bench(origin);
    expect(await client().send(get()).until(/ok$/)).toMatch(/^HTTP\/1\.1 200 OK/);
  });
});

describe('bodies', () => {
  const echo = (): Promise<string> =>
    httpOrigin((request, response) => {
      response.writeHead(200, { 'x-framing': framing(request) });
      request.pipe(response);
    });
  const framing = ({ headers }: IncomingMessage): string =>
    headers['transfer-encoding'] ?? headers['content-length'] ?? 'none';

  test.each([
    ['a length', 'Content-Length: 5\r\n\r\nhello', '5', '5\r\nhello\r\n0\r\n\r\n'],
    [
      'chunks',
      'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
      'chunked',
      '5\r\nhello\r\n0\r\n\r\n',
    ],
    ['no octets', 'Content-Length: 0\r\n\r\n', '0', '\r\n\r\n0\r\n\r\n'],
  ])('a body with %s', async (_name, rest, seen, echoed) => {
    const { client } = await bench(await echo());
    const text = await client()
      .send(`POST / HTTP/1.1\r\nHost: a\r\n${rest}`)
      .until(/0\r\n\r\n$/);
    expect(text).toContain(`x-framing: ${seen}\r\n`);
    expect(text.endsWith(echoed)).toBe(true);
  });

  test('an unknown transfer coding is not mistaken for content', async () => {
    const { client } = await bench(await echo());
    const text = await client()
      .send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n')
      .until(/Implemented\n$/);
    expect(text).toMatch(/^HTTP\/1\.1 501 /);
  });

  test('trailers of a response go on, those about framing do not', async () => {
    const { origin } = await scripted(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n' +
        '2\r\nok\r\n0\r\nX-Sum: 1\r\nContent-Type: a/b\r\n\r\n',
    );
    const { client } = await bench(origin);
    const text = await client()
      .send(get())
      .until(/X-Sum: 1\r\n\r\n$/);
    expect(text).toContain('\r\nTrailer: X-Sum\r\n');
    expect(text.endsWith('2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n')).toBe(true);
  });

  test('an HTTP/1.0 client gets no chunks and no trailers', async () => {
    const { origin } = await scripted(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n',
    );
    const { client } = await bench(origin);
    const text = await client().send('GET / HTTP/1.0\r\n\r\n').toEnd();
    expect(text).toMatch(/\r\nConnection: close\r\n\r\nok$/);
    expect(text).not.toMatch(/trailer|chunked|X-Sum/i);
  });

  test('an HTTP/1.0 client keeps its connection where the length is known', async () => {
    const { origin } = await scripted(OK, OK);
    const { client } = await bench(origin);
    const raw = client();
    for (let i = 1; i <= 2; i++) {
      raw.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
      await raw.until(new RegExp(`(?:[^]*Connection: keep-alive\r\n[^]*?\r\n\r\nok){${i}}$`));
    }
  });

  test('a body without a length is passed on until its end', async () => {
    const origin = await rawOrigin((socket) =>
      eachHead(socket, () => socket.end('HTTP/1.1 200 OK\r\n\r\nall of it')),
    );
    const { client } = await bench(origin);
    expect(
      await client()
        .send(get())
        .until(/0\r\n\r\n$/),
    ).toMatch(/\r\n9\r\nall of it\r\n0\r\n\r\n$/);
  });
});

describe('Expect: 100-continue', () => {
  const post = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n';

  test('invites the body once, and the origin sees no Expect', async () => {
    const seen: (string | undefined)[] = [];
    const origin = await httpOrigin((request, response) => {
      seen.push(request.headers.expect);
      request.pipe(response);
    });
    const { client } = await bench(origin);
    const raw = client().send(post);
    await raw.until('HTTP/1.1 100 Continue\r\n\r\n');
    expect(await raw.send('hello').until(/0\r\n\r\n$/)).toMatch(
      /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n[^]*\r\nhello\r\n/,
    );
    expect(seen).toEqual([undefined]);
  });

  test('does not invite it for an origin that is not there, and closes', async () => {
    const { port } = await refusingEndpoint();
    const { client } = await bench(`http://127.0.0.1:${port}`);
    const text = await client().send(post).toEnd();
    expect(text).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\n/);
    expect(text).toContain('Connection: close');
  });

  test('anything else that is expected fails', async () => {
    const { client } = await bench(await httpOrigin((_request, response) => response.end()));
    expect(await client().send(get('/', 'Expect: more')).until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 417 /);
  });
});

describe('origins that fail', () => {
  test('refused: 502, and the connection goes on', async () => {
    const { port } = await refusingEndpoint();
    const { client, errors, statuses } = await bench(`http://127.0.0.1:${port}`);
    const raw = client().send(get());
    expect(await raw.until(/502 Bad Gateway\n$/)).toMatch(/^HTTP\/1\.1 502 .*\r\nContent-Type: text\/plain/);
    await raw.send(get()).until(/(?:502 Bad Gateway\n[^]*){2}$/);
    expect(errors.map((error) => (error as NodeJS.ErrnoException).code)).toEqual([
      'ECONNREFUSED',
      'ECONNREFUSED',
    ]);
    expect(statuses).toEqual([502, 502]);
  });

  test.each([
    ['without a body', get()],
    ['with a body', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello'],
    [
      'with chunks',
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    ],
  ])(
    'refused, and there are others: a request %s goes to the first that is there',
    async (_name, request) => {
      const { port } = await refusingEndpoint();
      const gone = `http://127.0.0.1:${port}`;
      const seen: string[] = [];
      const there = await httpOrigin((message, response) => {
        void text(message).then((body) => {
          seen.push(`${message.method ?? ''} ${body}`);
          response.end('there');
        });
      });
      // Under another name, because an origin is not asked twice.
      const { client, errors, statuses } = await bench([gone, gone.replace('127.0.0.1', 'localhost'), there]);
      const raw = client().send(request);
      await raw.until(/there/);
      raw.send(request);
      await raw.until(/there[^]*there/);
      expect(seen).toEqual(Array(2).fill(request.startsWith('GET') ? 'GET ' : 'POST hello'));
      expect(errors).toHaveLength(4);
      expect(statuses).toEqual([200, 200]);
    },
  );

  test('refused by three: 502, whatever others there are', async () => {
    const endpoints = await Promise.all(Array.from({ length: 3 }, refusingEndpoint));
    const asked: string[] = [];
    const there = await httpOrigin((request, response) => {
      asked.push(request.url ?? '');
      response.end();
    });
    const origins = endpoints.map(({ port }) => `http://127.0.0.1:${port}`);
    const { client } = await bench([...origins, there]);
    await client()
      .send(get())
      .until(/502 Bad Gateway\n$/);
    expect(asked).toEqual([]);
  });

  test('no answer to the SYN: 504', async () => {
    const deaf = await deafEndpoint();
    try {
      const { client } = await bench(`http://127.0.0.1:${deaf.endpoint.port}`, {
        relay: { connectTimeout: 100 },
      });
      expect(
        await client()
          .send(get())
          .until(/Timeout\n$/),
      ).toMatch(/^HTTP\/1\.1 504 /);
    } finally {
      await deaf.close();
    }
  });

  test('no head in time: 504', async () => {
    const { origin } = await scripted();
    const { client } = await bench(origin, { relay: { headersTimeout: 100 } });
    expect(
      await client()
        .send(get())
        .until(/Timeout\n$/),
    ).toMatch(/^HTTP\/1\.1 504 /);
  });

  test('no free connection in time: 503', async () => {
    const { origin, heads } = await scripted();
    const { client } = await bench(origin, { relay: { maxConnectionsPerOrigin: 1, startTimeout: 100 } });
    client().send(get('/first'));
    const text = await client()
      .send(get('/second'))
      .until(/Unavailable\n$/);
    expect(text).toMatch(/^HTTP\/1\.1 503 [^]*\r\nRetry-After: 1\r\n/);
    expect(heads).toHaveLength(1);
  });

  test.each([
    ['no HTTP', 'SSH-2.0-nonsense\r\n\r\n'],
    ['a head without end', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_000)}`],
    ['an unwanted upgrade', 'HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'],
  ])('%s: 502', async (_name, answer) => {
    const { origin } = await scripted(answer);
    const { client } = await bench(origin);
    expect(
      await client()
        .send(get())
        .until(/Gateway\n$/),
    ).toMatch(/^HTTP\/1\.1 502 /);
  });

  const end = (socket: Socket): unknown => socket.end();
  const reset = (socket: Socket): unknown => socket.resetAndDestroy();
  test.each([
    ['with a length', 'Content-Length: 100\r\n\r\npart', end],
    ['in chunks', 'Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n', end],
    ['with neither', '\r\npart', reset],
  ])('a body %s that breaks off breaks the client off', async (_name, rest, breakOff) => {
    let atOrigin: Socket | undefined;
    const origin = await rawOrigin((socket) => {
      atOrigin = socket;
      eachHead(socket, () => socket.write(`HTTP/1.1 200 OK\r\n${rest}`));
    });
    const { client, errors } = await bench(origin);
    // To an HTTP/1.0 client only a reset tells a part from the whole.
    const raw = client().send(get().replace('1.1', '1.0'));
    await raw.until('part');
    breakOff(atOrigin as Socket);
    await raw.closed;
    expect(raw.error?.code).toBe('ECONNRESET');
    expect(errors).toHaveLength(1);
  });

  test('a body that stalls breaks the client off', async () => {
    const { origin } = await scripted('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart');
    const { client, errors } = await bench(origin, { relay: { bodyTimeout: 100 } });
    const raw = client().send(get());
    await raw.closed;
    expect(raw.received).toMatch(/part$/);
    expect((errors[0] as NodeJS.ErrnoException).code).toBe('UND_ERR_BODY_TIMEOUT');
  });
});

describe('requests that cannot be relayed', () => {
  test.each([
    ['two hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
    ['a target that is none', 'GET nonsense HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['user information', 'GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n'],
  ])('%s: 400, and no fault of the origin', async (_name, text) => {
    const { origin, heads } = await scripted(OK);
    const { client, errors } = await bench(origin);
    expect(await client().send(text).until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    expect([heads, errors]).toEqual([[], []]);
  });

  test('OPTIONS * is answered here', async () => {
    const { origin, heads } = await scripted(OK);
    const { client } = await bench(origin);
    expect(await client().send('OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n').until(/OK\n$/)).toMatch(
      /^HTTP\/1\.1 200 /,
    );
    expect(heads).toEqual([]);
  });
});

describe('a connection that the origin closes when it is used again', () => {
  /** Serves one request on each connection, then closes it in the moment in which the next request arrives. */
  async function closing(close: (socket: Socket) => void): Promise<{ origin: string; heads: string[] }> {
    const heads: string[] = [];
    const origin = await rawOrigin((socket) => {
      let served = false;
      eachHead(socket, (head) => {
        heads.push(head.split(' ')[0] ?? '');
        if (served) close(socket);
        else socket.write(OK);
        served = true;
      });
    });
    return { origin, heads };
  }

  test.each<[string, (socket: Socket) => void]>([
    ['orderly', (socket) => socket.end()],
    ['with a reset', (socket) => void socket.resetAndDestroy()],
  ])('%s: an idempotent request goes out again', async (_name, close) => {
    const { origin, heads } = await closing(close);
    const { client, errors } = await bench(origin);
    const raw = client().send(get());
    await raw.until(/ok$/);
    raw.send(get());
    await raw.until(/(?:\r\n\r\nok[^]*){2}$/);
    expect([heads, errors]).toEqual([['GET', 'GET', 'GET'], []]);
  });

  test('POST does not', async () => {
    const { origin, heads } = await closing((socket) => socket.end());
    const { client } = await bench(origin);
    const raw = client().send(get());
    await raw.until(/ok$/);
    raw.send('POST / HTTP/1.1\r\nHost: a\r\n\r\n');
    await raw.until(/HTTP\/1\.1 502 /);
    expect(heads).toEqual(['GET', 'POST']);
  });

  test('a request with a body does not', async () => {
    const { origin, heads } = await closing((socket) => socket.end());
    const { client } = await bench(origin);
    const raw = client().send(get());
    await raw.until(/ok$/);
    raw.send('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi');
    await raw.until(/HTTP\/1\.1 502 /);
    expect(heads).toEqual(['GET', 'PUT']);
  });

  test('only once', async () => {
    const heads: string[] = [];
    const origin = await rawOrigin((socket) =>
      eachHead(socket, (head) => {
        heads.push(head);
        socket.end();
      }),
    );
    const { client } = await bench(origin);
    await client()
      .send(get())
      .until(/Gateway\n$/);
    expect(heads).toHaveLength(2);
  });

  test('not after a part of a response', async () => {
    const heads: string[] = [];
    const origin = await rawOrigin((socket) =>
      eachHead(socket, (head) => {
        heads.push(head);
        socket.end('HTTP/1.1 200');
      }),
    );
    const { client } = await bench(origin);
    await client()
      .send(get())
      .until(/Gateway\n$/);
    expect(heads).toHaveLength(1);
  });
});

describe('clients that leave', () => {
  test.each([
    ['before the head', ''],
    ['in the middle of the body', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart'],
  ])('%s: the origin is let go', async (_name, answer) => {
    let gone: Promise<unknown> | undefined;
    let arrived = (): void => undefined;
    const atOrigin = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const origin = await rawOrigin((socket) => {
      gone = once(socket, 'close');
      eachHead(socket, () => {
        socket.write(answer);
        arrived();
      });
    });
    const { client, errors } = await bench(origin);
    const raw = client().send(get());
    await atOrigin;
    if (answer !== '') await raw.until('part');
    raw.socket.destroy();
    await gone;
    expect(errors).toEqual([]);
  });

  test('in the middle of their own body: the origin never sees a whole request', async () => {
    let outcome: Promise<unknown> | undefined;
    let arrived = (): void => undefined;
    const atOrigin = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const origin = await httpOrigin((request) => {
      outcome = new Promise((resolve) => {
        request.on('end', () => resolve('whole'));
        request.on('error', () => resolve('broken off'));
      });
      request.resume();
      arrived();
    });
    const { client, errors } = await bench(origin);
    const raw = client().send(
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n',
    );
    await atOrigin;
    raw.socket.destroy();
    expect(await outcome).toBe('broken off');
    expect(errors).toEqual([]);
  });

  test('while they wait for a connection: their request never goes out', async () => {
    const heads: string[] = [];
    let first: Socket | undefined;
    const origin = await rawOrigin((socket) =>
      eachHead(socket, (head) => {
        heads.push(head.split(' ')[1] ?? '');
        if (first === undefined) first = socket;
        else socket.write(OK);
      }),
    );
    const { client, sockets } = await bench(origin, { relay: { maxConnectionsPerOrigin: 1 } });
    const holder = client().send(get('/holder'));
    await once(holder.socket, 'connect');
    const leaver = client().send(get('/leaver'));
    await once(leaver.socket, 'connect');
    while (heads.length < 1 || sockets.size < 2) await new Promise(setImmediate);
    const leaving = once([...sockets][1] as Socket, 'close');
    leaver.socket.destroy();
    await leaving;
    first?.write(OK);
    await holder.until(/ok$/);
    await holder.send(get('/next')).until(/(?:\r\n\r\nok[^]*){2}$/);
    expect(heads).toEqual(['/holder', '/next']);
  });
});
