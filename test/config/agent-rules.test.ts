import { basename, dirname, join } from 'node:path';
import { parseAgentConfig, parseAgentConfigObject } from '../../src/config/load';
import { AGENT, compare } from './texts';
import type { ProblemCase } from './texts';

const UPSTREAM = '{ upstream: http://127.0.0.1:8080 }';
const here = basename(__filename);
const quoted = (file: string) => JSON.stringify(join(dirname(__filename), file));

const CASES: ProblemCase[] = [
  [AGENT, `¶${AGENT.replace(/serve.*\n/, '')}`, 'key "serve" is missing'],
  [UPSTREAM, '¶{}', 'serve: needs either "upstream" or "app"'],
  [
    UPSTREAM,
    `¶{ upstream: http://127.0.0.1:8080, app: ${here} }`,
    'serve: has both "upstream" and "app": keep one',
  ],
  [UPSTREAM, '{ upstream: http://h, listen: ¶127.0.0.1:80 }', 'serve.listen: goes with "app" only'],
  [UPSTREAM, '{ app: ¶./absent.mjs }', `serve.app: there is no file ${quoted('absent.mjs')}`],
  [UPSTREAM, '{ app: ¶. }', `serve.app: there is no file ${JSON.stringify(dirname(__filename))}`],
  [UPSTREAM, '{ app: ¶"a\\0b" }', `serve.app: there is no file ${quoted('a\0b')}`],
  ['[198.19.0.1]', '["2001:db8::1", ¶"2001:DB8::1"]', 'vips[1]: "2001:DB8::1" is already taken'],
  ['[198.19.0.1]', '["[::1]:80", "[::1]:81", ¶"[0::1]:80"]', 'vips[2]: "[0::1]:80" is already taken'],
  [
    '[198.19.0.1]',
    '[¶198.19.0.1:80, 198.19.0.1]',
    'vips[0]: adds nothing to 198.19.0.1, which stands for all its ports',
  ],
  [
    '{ listen: 198.18.0.21:7400, insecure: true',
    '¶{ listen: 198.18.0.21:7400',
    'control: needs either "insecure: true" or "tls"',
  ],
];

test.each(CASES)('%j -> %j', (...problemCase) => {
  const { actual, expected } = compare(parseAgentConfig, AGENT, problemCase);
  expect(expected).not.toEqual([]);
  expect(actual).toEqual(expected);
});

test('an attached agent has a server already', () => {
  const value = {
    node: 'b1',
    control: { listen: '198.18.0.21:7400', insecure: true },
    vips: ['198.19.0.1'],
    serve: { upstream: 'http://127.0.0.1:8080' },
  };
  const problems = [{ line: 0, column: 0, message: 'serve: must be left out: the attached server serves' }];
  expect(parseAgentConfigObject(value)).toEqual({ ok: false, problems });
});
