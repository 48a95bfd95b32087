import {
  createServer,
  get,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { StickyCookie } from '../../src/agent/sticky-cookie';

const FIELD = 'at=b1; Path=/; HttpOnly; SameSite=Lax';

/** What a client gets of an application behind the cookie. */
async function ask(app: RequestListener, cookie?: string): Promise<IncomingMessage> {
  const sticky = new StickyCookie('at', 'b1');
  const server = createServer(app);
  server.prependListener('request', (request: IncomingMessage, response: ServerResponse) =>
    sticky.add(request, response),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as AddressInfo;
    return await new Promise((resolve, reject) => {
      const headers = cookie === undefined ? {} : { cookie };
      get({ host: '127.0.0.1', port, headers, agent: false }, (response) => {
        response.resume();
        response.once('end', () => resolve(response));
      }).once('error', reject);
    });
  } finally {
    server.close();
  }
}

const APPS: [string, RequestListener, string[], string | undefined][] = [
  ['leaves the head to Node', (_, response) => response.end('x'), [], undefined],
  ['writes a head', (_, response) => response.writeHead(201).end(), [], undefined],
  ['writes a head with a reason', (_, response) => response.writeHead(201, 'Yes').end(), [], undefined],
  [
    'writes a head with fields',
    (_, response) => response.writeHead(200, { 'x-a': '1', 'set-COOKIE': ['a=1', 'b=2'] }).end(),
    ['a=1', 'b=2'],
    '1',
  ],
  [
    'writes a head with a reason and fields',
    (_, response) => response.writeHead(200, 'Yes', { 'X-A': '1' }).end(),
    [],
    '1',
  ],
  [
    'writes a head with raw fields',
    (_, response) => response.writeHead(200, ['X-A', '1', 'Set-Cookie', 'a=1']).end(),
    ['a=1'],
    '1',
  ],
  [
    'writes a head without a reason, and fields',
    (_, response) => response.writeHead(200, undefined, { 'X-A': '1' }).end(),
    [],
    '1',
  ],
  [
    'writes a head with pairs',
    (_, response) =>
      response
        .writeHead(200, [
          ['X-A', '1'],
          ['Set-Cookie', 'a=1'],
        ] as unknown as string[])
        .end(),
    ['a=1'],
    '1',
  ],
  [
    'sets fields first',
    (_, response) => {
      response.setHeader('x-a', '1');
      response.setHeader('set-cookie', 'a=1');
      response.end();
    },
    ['a=1'],
    '1',
  ],
  [
    'sets fields, and gives others with the head',
    (_, response) => {
      response.setHeader('Set-Cookie', ['a=1', 'b=2']);
      response.writeHead(200, { 'x-a': '1' });
      response.end();
    },
    ['a=1', 'b=2'],
    '1',
  ],
];

describe('an application that', () => {
  test.each(APPS)('%s', async (_what, app, own, other) => {
    const { headers } = await ask(app);
    expect(headers['set-cookie']).toEqual([...own, FIELD]);
    expect(headers['x-a']).toBe(other);
    const known = await ask(app, 'x=y; at=b1');
    expect(known.headers['set-cookie']).toEqual(own.length > 0 ? own : undefined);
    expect(known.headers['x-a']).toBe(other);
  });
});

test('a session of another backend, which is away, becomes one of this', async () => {
  const { headers } = await ask((_, response) => response.end(), 'at=b2');
  expect(headers['set-cookie']).toEqual([FIELD]);
});
