import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { tmpdir } from 'node:os';
import { isPrivate } from '../../src/config/admin';
import { parseAgentConfig, parseAgentConfigObject, parseFrontConfig } from '../../src/config/load';
import type { AgentConfig, FrontConfig } from '../../src/config/model';
import { AGENT, compare, configOf, FRONT } from './texts';
import type { ProblemCase } from './texts';

const here = basename(__filename);
const CLOSED = 'others can reach this address: set admin.token_file, or listen on 127.0.0.1 or unix:/PATH';
const SPELLING = 'is not ADDRESS:PORT or unix:/PATH';

const PROBLEMS: ProblemCase[] = [
  ['node:', 'admin: { listen: ¶198.18.0.11:9180 }\nnode:', `admin.listen: ${CLOSED}`],
  ['node:', 'admin:\n  listen: ¶0.0.0.0:9180\nnode:', `admin.listen: ${CLOSED}`],
  ['node:', 'admin: { listen: ¶"[::]:9180" }\nnode:', `admin.listen: ${CLOSED}`],
  [
    'node:',
    'admin: { listen: ¶"unix:relative.sock" }\nnode:',
    `admin.listen: "unix:relative.sock" ${SPELLING}`,
  ],
  ['node:', 'admin: { listen: ¶"unix:" }\nnode:', `admin.listen: "unix:" ${SPELLING}`],
  ['node:', 'admin: { listen: ¶"unix:/run/" }\nnode:', `admin.listen: "unix:/run/" ${SPELLING}`],
  ['node:', 'admin: { listen: ¶"unix:/a\\0b" }\nnode:', `admin.listen: "unix:/a\\u0000b" ${SPELLING}`],
  [
    'node:',
    `admin: { listen: ¶"unix:/${'x'.repeat(96)}" }\nnode:`,
    `admin.listen: "unix:/${'x'.repeat(54)}..." ${SPELLING}`,
  ],
  [
    'node:',
    'admin: { token_file: ¶absent }\nnode:',
    `admin.token_file: there is no file ${JSON.stringify(join(dirname(__filename), 'absent'))}: make one with (umask 077; openssl rand -hex 32 > FILE)`,
  ],
  [
    'node:',
    'admin: { listen: 198.18.0.11:9180, token_file: ¶. }\nnode:',
    `admin.token_file: there is no file ${JSON.stringify(dirname(__filename))}: make one with (umask 077; openssl rand -hex 32 > FILE)`,
  ],
  ['node:', 'admin: { token_file: ¶"" }\nnode:', 'admin.token_file: "" is not a path'],
];

describe.each([
  ['front', FRONT, parseFrontConfig],
  ['agent', AGENT, parseAgentConfig],
] as const)('%s', (_kind, base, parse) => {
  test.each(PROBLEMS)('%j -> %j', (...problemCase) => {
    const { actual, expected } = compare<unknown>(parse, base, problemCase);
    expect(expected).not.toEqual([]);
    expect(actual).toEqual(expected);
  });

  test.each([
    ['{ listen: "unix:/run/baton/a.sock" }', { listen: { socket: '/run/baton/a.sock' } }],
    [`{ listen: "unix:/${'x'.repeat(95)}" }`, { listen: { socket: `/${'x'.repeat(95)}` } }],
    ['{ listen: "127.8.9.1:1" }', { listen: { host: '127.8.9.1', port: 1, family: 4 } }],
    ['{ listen: "[::1]:1" }', { listen: { host: '::1', port: 1, family: 6 } }],
    [
      `{ listen: "198.18.0.11:9180", token_file: ${here} }`,
      { listen: { host: '198.18.0.11', port: 9180, family: 4 }, token_file: __filename },
    ],
  ])('admin: %s', (text, expected) => {
    expect(configOf<FrontConfig | AgentConfig>(parse(`${base}admin: ${text}\n`, __filename)).admin).toEqual(
      expected,
    );
  });
});

test('an attached agent has the same rules, and a token file relative to the working directory', () => {
  const dir = mkdtempSync(join(tmpdir(), 'baton-attached-'));
  const token_file = join(dir, 'token');
  writeFileSync(token_file, '');
  const base = { node: 'b1', control: { listen: '198.18.0.21:7400', insecure: true }, vips: ['198.19.0.1'] };
  const attached = (admin: object) => parseAgentConfigObject({ ...base, admin });
  expect(attached({ listen: '0.0.0.0:9181' })).toEqual({
    ok: false,
    problems: [{ line: 0, column: 0, message: `admin.listen: ${CLOSED}` }],
  });
  expect(configOf(attached({ token_file })).admin).toEqual({
    listen: { host: '127.0.0.1', port: 9181, family: 4 },
    token_file,
  });
  rmSync(dir, { recursive: true });
});

test('only loopback and sockets are private', () => {
  const at = (host: string, family: 4 | 6) => isPrivate({ host, port: 1, family });
  expect([at('127.0.0.1', 4), at('127.255.255.254', 4), at('::1', 6), isPrivate({ socket: '/s' })]).toEqual([
    true,
    true,
    true,
    true,
  ]);
  expect([at('0.0.0.0', 4), at('128.0.0.1', 4), at('::', 6), at('::2', 6), isPrivate(undefined)]).toEqual([
    false,
    false,
    false,
    false,
    false,
  ]);
});
