import { createServer, type AddressInfo, type Server } from 'node:net';
import { once } from 'node:events';
import { HostWatch } from '../../src/front/host-watch';
import { until } from '../kernel/pair';

const GONE_MS = 80;

let watch: HostWatch;
let gone: number[];

function open(...endpoints: { host: string; port: number }[]): void {
  gone = [];
  watch = new HostWatch({ goneMs: GONE_MS, endpoints, neighbours: [] }, () => gone.push(performance.now()));
}

const after = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

afterEach(() => watch.end());

test('a host of which nothing answers is gone after its time, once', async () => {
  open();
  const began = performance.now();
  watch.begin();
  await until(() => gone.length > 0);
  expect((gone[0] ?? 0) - began).toBeGreaterThanOrEqual(GONE_MS - 1);
  await after(2 * GONE_MS);
  expect(gone).toHaveLength(1);
});

test('a sign of life puts the end off, and after the end it makes another one possible', async () => {
  open();
  watch.begin();
  for (let k = 0; k < 5; k++) {
    await after(GONE_MS / 2);
    watch.alive();
  }
  expect(gone).toEqual([]);
  await until(() => gone.length === 1);
  watch.alive();
  await until(() => gone.length === 2);
});

test('nothing is said of a host whose channel is up again', async () => {
  open();
  watch.begin();
  watch.end();
  await after(2 * GONE_MS);
  expect(gone).toEqual([]);
});

describe('an address that answers keeps the host', () => {
  let server: Server;
  let endpoint: { host: string; port: number };

  beforeEach(async () => {
    server = createServer((socket) => socket.on('error', () => undefined));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    endpoint = { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  });

  test('by taking a connection, or by refusing one', async () => {
    open(endpoint);
    watch.begin();
    await after(3 * GONE_MS);
    server.close();
    await after(3 * GONE_MS);
    expect(gone).toEqual([]);
  });
});
