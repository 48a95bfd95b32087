import type { ServerResponse } from 'node:http';
import { refusingEndpoint } from '../health/servers';
import { until } from '../kernel/pair';
import { bench, get, httpOrigin, rawOrigin, tearDown } from './harness';

afterEach(tearDown);

/** An origin whose responses wait for the test. */
async function waiting(): Promise<{ origin: string; next: () => Promise<ServerResponse> }> {
  const ready: ServerResponse[] = [];
  const origin = await httpOrigin((_request, response) => ready.push(response));
  const next = async (): Promise<ServerResponse> => {
    for (;;) {
      const response = ready.shift();
      if (response !== undefined) return response;
      await new Promise(setImmediate);
    }
  };
  return { origin, next };
}

describe('close', () => {
  test('waits for running requests, whose connections end with them', async () => {
    const { origin, next } = await waiting();
    const { client, relay } = await bench(origin);
    const raw = client().send(get());
    const response = await next();
    let closed = false;
    const closing = relay.close().then(() => {
      closed = true;
    });
    await new Promise(setImmediate);
    expect(closed).toBe(false);
    response.end('done');
    expect(await raw.toEnd()).toMatch(/Connection: close\r\n\r\ndone$/);
    await closing;
  });

  test('takes nothing new', async () => {
    const { client, relay } = await bench(await httpOrigin((_request, response) => response.end()));
    await relay.close();
    expect(await client().send(get()).toEnd()).toMatch(/^HTTP\/1\.1 503 [^]*Connection: close/);
    const upgrade = get('/', 'Connection: Upgrade', 'Upgrade: x');
    expect(await client().send(upgrade).toEnd()).toMatch(/^HTTP\/1\.1 503 [^]*Connection: close/);
  });
});

describe('destroy', () => {
  test('answers those who wait, breaks off those who have a part, and blames nobody', async () => {
    const { origin, next } = await waiting();
    const { client, relay, errors } = await bench(origin);
    const waits = client().send(get());
    await next();
    const reads = client().send(get());
    (await next()).writeHead(200, { 'content-length': 9 }).write('part');
    await reads.until(/part$/);
    await relay.destroy();
    expect(await waits.toEnd()).toMatch(/^HTTP\/1\.1 503 [^]*Connection: close/);
    await reads.closed;
    expect(reads.error?.code).toBe('ECONNRESET');
    expect(errors).toEqual([]);
    await relay.close();
  });

  test('ends tunnels', async () => {
    const agree = 'HTTP/1.1 101 OK\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n';
    const origin = await rawOrigin((socket) => socket.once('data', () => socket.write(agree)));
    const { client, relay } = await bench(origin);
    const raw = client().send(get('/', 'Connection: Upgrade', 'Upgrade: x'));
    await raw.until('\r\n\r\n');
    await relay.destroy();
    await raw.closed;
  });
});

describe('connections to origins are counted', () => {
  test('from the first packet on until they are closed, a tunnel like the others', async () => {
    const { origin, next } = await waiting();
    const { client, relay } = await bench(origin);
    expect(relay.originSockets).toBe(0);
    const clients = [client().send(get()), client().send(get())];
    for (const wait of clients.map(() => next())) (await wait).end('done');
    for (const one of clients) await one.until('done');
    // Kept alive for a while.
    expect(relay.originSockets).toBe(2);

    const tunnel = client().send(get('/', 'Connection: Upgrade', 'Upgrade: x'));
    (await next()).end('no');
    await tunnel.toEnd();
    await until(() => relay.originSockets === 2);
    await relay.destroy();
    await until(() => relay.originSockets === 0);
  });

  test('and one that cannot be opened counts no longer', async () => {
    const { port } = await refusingEndpoint();
    const { client, relay } = await bench(`http://127.0.0.1:${port}`);
    await client().send(get()).until('Gateway');
    await client()
      .send(get('/', 'Connection: Upgrade', 'Upgrade: x'))
      .until('Gateway');
    await until(() => relay.originSockets === 0);
  });
});

test('an origin that is no URL is the caller’s mistake, and costs the process nothing', async () => {
  const { client, errors } = await bench('nonsense');
  expect(
    await client()
      .send(get())
      .until(/Gateway\n$/),
  ).toMatch(/^HTTP\/1\.1 502 /);
  const upgrade = get('/', 'Connection: Upgrade', 'Upgrade: x');
  expect(
    await client()
      .send(upgrade)
      .until(/Gateway\n$/),
  ).toMatch(/^HTTP\/1\.1 502 /);
  expect(errors).toHaveLength(2);
});
