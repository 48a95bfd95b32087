import { basename, dirname, join } from 'node:path';
import { parseAgentConfig, parseAgentConfigObject } from '../../src/config/load';
import { AGENT, compare } from './texts';
import type { ProblemCase } from './texts';

const UPSTREAM = '{ upstream: http://127.0.0.1:8080 }';
const here = basename(__filename);
const quoted = (file: string) => JSON.stringify(join(dirname(__filename), file));

const CASES: ProblemCase[] = [
  [AGENT, `¶${AGENT.replace(/serve.*\n/, '')}`, 'key "serve" is missing'],
  [UPSTREAM, '¶{}', 'serve: needs "upstream" or "app", "tcp", or both kinds'],
  [UPSTREAM, '{ tcp: ¶./absent.mjs }', `serve.tcp: there is no file ${quoted('absent.mjs')}`],
  [UPSTREAM, `{ tcp: ${here}, listen: ¶127.0.0.1:80 }`, 'serve.listen: goes with "app" only'],
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
  [AGENT, `${AGENT}access_log: ¶stdout\n`, 'access_log: "stdout" is not a mapping'],
  [AGENT, `${AGENT}access_log: { ¶file: a.log }\n`, 'unknown key "file"'],
  ...['stderr', '', '[stdout]'].map((to): ProblemCase => [
    AGENT,
    `${AGENT}access_log: { to: ¶${to === '' ? '""' : to} }\n`,
    `access_log.to: ${to === '[stdout]' ? 'a list' : JSON.stringify(to)} is not stdout or { file: PATH }`,
  ]),
  [AGENT, `${AGENT}access_log: { to: ¶{} }\n`, 'access_log.to: key "file" is missing'],
  [
    AGENT,
    `${AGENT}access_log: { to: { file: ¶absent/a.log } }\n`,
    `access_log.to.file: there is no directory ${quoted('absent')}: make it first`,
  ],
  [
    AGENT,
    `${AGENT}access_log: { to: { file: ¶. } }\n`,
    `access_log.to.file: ${JSON.stringify(dirname(__filename))} is a directory: name a file in it`,
  ],
  ...[-0.1, 1.1, '10%'].map((sample): ProblemCase => [
    AGENT,
    `${AGENT}access_log: { sample: ¶${sample} }\n`,
    `access_log.sample: ${JSON.stringify(sample)} is not a number from 0 to 1`,
  ]),
  [AGENT, `${AGENT}access_log: { errors: ¶5 }\n`, 'access_log.errors: 5 is not true or false'],
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
