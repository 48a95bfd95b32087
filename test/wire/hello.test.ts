import fc from 'fast-check';
import { MAX_TEXT_BYTES, ProtocolError } from '../../src/wire/frames';
import {
  decodeAgentHello,
  decodeFrontHello,
  encodeAgentHello,
  encodeFrontHello,
  type AgentHello,
  type FrontHello,
} from '../../src/wire/hello';

const name = fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/);

test('what a front says is understood', () => {
  const role = fc.constantFrom<FrontHello['role']>('offers', 'keeper');
  fc.assert(
    fc.property(role, name, (role, node) => {
      expect(decodeFrontHello(encodeFrontHello({ role, node }))).toEqual({ role, node });
    }),
  );
});

test('a front may ask for reports', () => {
  const hello = { role: 'offers', node: 'f1', reportMs: 100 } as const;
  expect(decodeFrontHello(encodeFrontHello(hello))).toEqual(hello);
});

test('what an agent says is understood', () => {
  const vips = fc.array(fc.oneof(fc.ipV4(), fc.ipV6()), { maxLength: 20 });
  const hello: fc.Arbitrary<AgentHello> = fc.record({
    node: name,
    vips,
    offers: fc.integer({ min: 1, max: 65_536 }),
  });
  fc.assert(
    fc.property(hello, (said) => {
      expect(decodeAgentHello(encodeAgentHello(said))).toEqual(said);
    }),
  );
});

test('an agent may ask for the details of commits', () => {
  const hello = { node: 'b1', vips: ['198.19.0.1'], offers: 64, details: true } as const;
  expect(decodeAgentHello(encodeAgentHello(hello))).toEqual(hello);
});

test('a later version may say more, and more versions', () => {
  const text = JSON.stringify({ baton: [3, 2, 1], role: 'keeper', node: 'f1', colour: 'blue' });
  expect(decodeFrontHello(text)).toEqual({ role: 'keeper', node: 'f1' });
});

const front = { baton: [1], role: 'offers', node: 'f1' };
const agent = { baton: [1], node: 'b1', vips: ['198.19.0.1'], offers: 4096 };

const COMMON: [string, string, string][] = [
  ['nothing', '', 'hello: not JSON'],
  ['HTTP', 'GET / HTTP/1.1', 'hello: not JSON'],
  ['a number', '7', 'hello: not an object'],
  ['null', 'null', 'hello: not an object'],
  ['a list', '[]', 'hello: no common version, this side speaks 1'],
  ['no version', '{}', 'hello: no common version, this side speaks 1'],
  ['a bare version', '{"baton":1}', 'hello: no common version, this side speaks 1'],
  ['an unknown version', '{"baton":[2]}', 'hello: no common version, this side speaks 1'],
  ['a version in words', '{"baton":["1"]}', 'hello: no common version, this side speaks 1'],
  ['too much', ' '.repeat(MAX_TEXT_BYTES + 1), 'hello: too long'],
];

describe('a front is refused that says', () => {
  test.each<[string, string, string]>([
    ...COMMON,
    ['no role', JSON.stringify({ ...front, role: undefined }), 'hello: role is neither offers nor keeper'],
    ['another role', JSON.stringify({ ...front, role: 'agent' }), 'hello: role is neither offers nor keeper'],
    ['no name', JSON.stringify({ ...front, node: undefined }), 'hello: node is not a name'],
    ['an empty name', JSON.stringify({ ...front, node: '' }), 'hello: node is not a name'],
    ['a long name', JSON.stringify({ ...front, node: 'a'.repeat(65) }), 'hello: node is not a name'],
    ['a name of two lines', JSON.stringify({ ...front, node: 'a\nb' }), 'hello: node is not a name'],
    ['a name with a line end', JSON.stringify({ ...front, node: 'a\n' }), 'hello: node is not a name'],
    ...[0, 49, 60_001, -1, null, '100', [100]].map((reportMs): [string, string, string] => [
      `reports every ${JSON.stringify(reportMs)}`,
      JSON.stringify({ ...front, reportMs }),
      'hello: reportMs is not a time between reports',
    ]),
  ])('%s', (_, text, message) => {
    expect(() => decodeFrontHello(text)).toThrow(new ProtocolError(message));
  });
});

describe('an agent is refused that says', () => {
  test.each<[string, string, string]>([
    ...COMMON,
    ['no vips', JSON.stringify({ ...agent, vips: undefined }), 'hello: vips is not a list of addresses'],
    ['one vip', JSON.stringify({ ...agent, vips: '198.19.0.1' }), 'hello: vips is not a list of addresses'],
    ['a host', JSON.stringify({ ...agent, vips: ['www'] }), 'hello: vips is not a list of addresses'],
    ['a number as vip', JSON.stringify({ ...agent, vips: [1] }), 'hello: vips is not a list of addresses'],
    [
      'too many vips',
      JSON.stringify({ ...agent, vips: Array(1025).fill('198.19.0.1') }),
      'hello: vips is not a list of addresses',
    ],
    ['no offers', JSON.stringify({ ...agent, offers: 0 }), 'hello: offers is not a number of offers'],
    ['half an offer', JSON.stringify({ ...agent, offers: 1.5 }), 'hello: offers is not a number of offers'],
    [
      'endless offers',
      JSON.stringify({ ...agent, offers: 65_537 }),
      'hello: offers is not a number of offers',
    ],
    ['offers in words', JSON.stringify({ ...agent, offers: '9' }), 'hello: offers is not a number of offers'],
    ['no name', JSON.stringify({ ...agent, node: undefined }), 'hello: node is not a name'],
    ...[false, null, 1, 'true', []].map((details): [string, string, string] => [
      `details are ${JSON.stringify(details)}`,
      JSON.stringify({ ...agent, details }),
      'hello: details is not true',
    ]),
  ])('%s', (_, text, message) => {
    expect(() => decodeAgentHello(text)).toThrow(new ProtocolError(message));
  });
});

test('any JSON is a hello or a ProtocolError', () => {
  fc.assert(
    fc.property(fc.json(), fc.boolean(), (text, toFront) => {
      try {
        (toFront ? decodeAgentHello : decodeFrontHello)(text);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
    }),
    { numRuns: 1000 },
  );
});
