import { parseAgentConfig, parseFrontConfig } from '../../src/config/load';
import { AGENT, FRONT, compare } from './texts';
import type { ProblemCase } from './texts';

const TLS = 'control.tls is not available in this version: use control.insecure: true on a trusted network';

const CASES: ProblemCase[] = [
  ['insecure: true', '¶tls: { ca: a, cert: b, key: c }', TLS],
  ['protocol: http', 'protocol: ¶tls', 'protocol tls is not available in this version'],
  ['protocol: http', 'protocol: ¶tcp', 'protocol tcp is not available in this version'],
  ...['least-connections', 'random-two'].map((policy): ProblemCase => [
    '    backends',
    `    balance: ¶${policy}\n    backends`,
    `balance ${policy} is not available in this version`,
  ]),
  [
    '    backends',
    '    balance: ¶maglev\n    hash: header:x-user\n    backends',
    'balance maglev is not available in this version',
  ],
];

test.each(CASES)('front: %j -> %j', (...problemCase) => {
  const { actual, expected } = compare(parseFrontConfig, FRONT, problemCase);
  expect(actual).toEqual(expected);
});

test('agent: tls', () => {
  const { actual, expected } = compare(parseAgentConfig, AGENT, [
    'insecure: true',
    '¶tls: { ca: a, cert: b, key: c, allow: [front-1] }',
    TLS,
  ]);
  expect(actual).toEqual(expected);
});
