import { HTTP1_REFUSALS, Http1Peek } from '../../src/peek/http1';
import { ACCEPTED, REFUSED } from './cases';
import { AppServer, UpstreamServer } from './servers';

const HEAD_BYTES = 16_384;

let app: AppServer;
let relay: UpstreamServer;

beforeAll(async () => {
  [app, relay] = await Promise.all([new AppServer().start(), new UpstreamServer().start()]);
});

afterAll(() => Promise.all([app.close(), relay.close()]));

test.each(REFUSED)('the front refuses: $name', ({ bytes, status, reason }) => {
  const octets = Buffer.from(bytes, 'latin1');
  const peek = new Http1Peek(HEAD_BYTES);
  expect(peek.read(octets, octets.length)).toBe('malformed');
  expect([peek.status, peek.reason]).toEqual([status, reason]);
});

test('every reason to refuse a head has its case', () => {
  expect(new Set(REFUSED.map(({ reason }) => reason))).toEqual(new Set(HTTP1_REFUSALS));
});

test.each(ACCEPTED)(
  'the front accepts and the application reads: $name',
  async ({ bytes, seen, answers }) => {
    const octets = Buffer.from(bytes, 'latin1');
    expect(new Http1Peek(HEAD_BYTES).read(octets, octets.length)).toBe('head');
    expect(await app.read(octets)).toMatchObject({ seen, answers });
  },
);
