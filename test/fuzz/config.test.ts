import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { loadAgentConfig, loadConfig, loadFrontConfig } from '../../src/config/load';
import { formatProblems } from '../../src/config/problems';
import { AGENT, FRONT } from '../config/texts';
import { Certificates } from '../wire/certificates';
import { fuzz } from './fuzz';

const EXAMPLES = join(__dirname, '../../config');
/** Longest line that one problem may take in a log: a name of a file may have a thousand characters, each an escape. */
const LONGEST_PROBLEM = 10_000;

const FULL_FRONT = `${FRONT}
admin: { listen: 0.0.0.0:9180, token_file: admin.token }
timeouts: { head: 1.5s, prepare: 100ms, backend_gone: 10s, idle_flow: 24h, linger: 1m }
limits: { head_bytes: 16384, connections: 100000 }
workers: auto
`
  .replace(
    '- pool: web',
    "- match: { host: [a.example, '*.b.example'], path_prefix: /v1, method: [GET], headers: { x-a: b } }\n    pool: web",
  )
  .replace('via: 198.18.0.21', 'via: 198.18.0.21\n        http: 198.18.0.21:8080')
  .replace(
    '    backends:',
    `    health: { path: /h, expect: [200, 301-302], headers: { Host: a }, port: 1, jitter: 0.2, tls: { ca: ca.pem, server_name: a.b } }
    outliers: { window: 5s, min_responses: 5, errors: 0.1, latency: 2s, failures: 3, eject: 1s, max_eject: 1m, max_share: 0.3 }
    backends:`,
  )
  .replace('insecure: true', 'tls: { ca: ca.pem, cert: front-1.pem, key: front-1-key.pem }');
const FULL_AGENT = AGENT.replace(
  'insecure: true',
  'tls: { ca: ca.pem, cert: b1.pem, key: b1-key.pem, allow: [front-1] }',
).replace('upstream: http://127.0.0.1:8080', 'app: ./app.mjs, listen: 198.18.0.21:8080');

/** Most changes of it leave the rest as it is. */
const REMARK = `# ${'Nothing depends on this. '.repeat(20)}\n`;

/** What makes other loaders of YAML run out of memory, of stack or of time. */
const HOSTILE = [
  `a: &a [x, x, x, x, x, x, x, x, x]\n${'bcdefghi'.replace(/./g, (key) => `${key}: &${key} [${`*${String.fromCharCode(key.charCodeAt(0) - 1)},`.repeat(9)}]\n`)}`,
  '&a [*a]\n',
  'node: &n { <<: *n }\n',
  '['.repeat(200),
  '{a: '.repeat(200),
  '- '.repeat(200),
  '? '.repeat(200),
  Array.from({ length: 60 }, (_, depth) => `${' '.repeat(depth)}a:\n`).join(''),
  FRONT.replace('node: front-1', '__proto__: { node: evil }\nconstructor: { prototype: { insecure: true } }'),
  FRONT.replace('web:\n', '__proto__:\n').replace('pool: web', 'pool: __proto__'),
  `pools:\n${Array.from({ length: 200 }, (_, index) => `  p${index}: ${index}\n`).join('')}`,
  `node: "${'\\u0041'.repeat(2000)}"\nvips: []\n`,
  `workers: ${'9'.repeat(1000)}\nlisteners: 0x${'f'.repeat(1000)}\n`,
  `listeners: |\n${' \n'.repeat(1000)}`,
  `%YAML 1.1\n%TAG ! tag:x,2000:\n---\nnode: !!python/object:os.system x\nvips: !x []\n`,
  `${FRONT}---\n${AGENT}`,
];

const WORDS = [
  ...[
    'node',
    'listeners',
    'name',
    'bind',
    'protocol',
    'routing',
    'routes',
    'match',
    'host',
    'path',
    'path_prefix',
  ],
  ...[
    'method',
    'headers',
    'pool',
    'pools',
    'balance',
    'hash',
    'health',
    'expect',
    'outliers',
    'max_share',
    'interval',
    'fallback',
    'backends',
    'agent',
  ],
  ...[
    'via',
    'http',
    'weight',
    'steering',
    'interface',
    'pin',
    'max_flows',
    'control',
    'insecure',
    'tls',
    'ca',
    'cert',
  ],
  ...[
    'key',
    'allow',
    'admin',
    'listen',
    'token_file',
    'timeouts',
    'head',
    'limits',
    'head_bytes',
    'workers',
    'vips',
  ],
  ...[
    'path_regex',
    'query',
    'cookie',
    'client',
    'not',
    'regex',
    'present',
    '10.0.0.1/8',
    '::/129',
    '(a',
    '(a{50}){2}',
  ],
  ...['manage_vips', 'serve', 'upstream', 'app', '__proto__', 'constructor', 'toString', '<<'],
  ...[
    ': ',
    '- ',
    '? ',
    '\n',
    '\n  ',
    '\n    ',
    '\t',
    '\r',
    '\r\n',
    '\0',
    '\x7f',
    '\x85',
    ' #',
    '{',
    '}',
    '[',
    ']',
    ',',
  ],
  ...[
    '|\n',
    '>-\n',
    '"',
    "'",
    '\\',
    '\\x00',
    '\\u2028',
    '\\ud800',
    '&a ',
    '*a',
    '!!binary ',
    '!!set ',
    '!!str ',
    '! ',
  ],
  ...[
    '---\n',
    '...\n',
    '%YAML 1.1\n',
    '%TAG ! x\n',
    '<<: *a',
    '~',
    'null',
    'true',
    'yes',
    '.nan',
    '.inf',
    '-.inf',
  ],
  ...[
    '0',
    '-1',
    '0x10',
    '0o17',
    '010',
    '1e999',
    '9007199254740993',
    '1_000',
    '1:30',
    '2001-01-01',
    '9'.repeat(400),
  ],
  ...[
    '10s',
    '0s',
    '1.5h',
    '25d',
    '999999999999h',
    '1e3s',
    '-1s',
    '198.18.0.1',
    '198.18.0.1:80',
    '[::1]:80',
    '::1',
  ],
  ...[
    '[fe80::1%eth0]:80',
    '::ffff:1.2.3.4',
    '1.2.3.4:99999',
    'unix:/run/a.sock',
    'http://127.0.0.1:1',
    'http://a@b/',
  ],
  ...[
    '../',
    './',
    '/',
    '/dev/null',
    'ca.pem',
    'front-1.pem',
    'front-1-key.pem',
    'b1.pem',
    'admin.token',
    'directory',
  ],
  ...['\xef\xbb\xbf', '\xc3\xa9', '\xe2\x80\xa8', '\xed\xa0\x80', '\xff', '\xf0\x9f\x98\x80'],
];

let directory: string;

beforeAll(() => {
  directory = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'baton-fuzz-config-')));
  new Certificates(directory).makeCluster();
  fs.writeFileSync(join(directory, 'admin.token'), `${'0'.repeat(64)}\n`);
  fs.writeFileSync(join(directory, 'app.mjs'), 'throw new Error("only read, never run");\n');
  fs.mkdirSync(join(directory, 'directory'));
});

afterAll(() => fs.rmSync(directory, { recursive: true }));

/** The files that a piece of work opens or asks for, in order. */
function filesOf<T>(work: () => T): { readonly result: T; readonly files: string[] } {
  const files: string[] = [];
  const { openSync, statSync } = fs;
  fs.openSync = (path, ...rest) => {
    files.push(String(path));
    return openSync(path, ...rest);
  };
  const stat = (path: fs.PathLike, options?: fs.StatSyncOptions) => {
    files.push(String(path));
    return statSync(path, options);
  };
  Object.assign(fs, { statSync: stat });
  try {
    return { result: work(), files };
  } finally {
    Object.assign(fs, { openSync, statSync });
  }
}

/** Every text of a document, wherever it stands in it. */
function textsIn(value: unknown, texts = new Set<string>()): Set<string> {
  if (typeof value === 'string') texts.add(value);
  else if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) textsIn(inner, texts);
  }
  return texts;
}

/** Only files that the text names, relative to its own. */
function expectNamed(files: readonly string[], text: string): void {
  if (files.length === 0) return;
  const named = new Set(
    [...textsIn(parse(text, { logLevel: 'silent' }))].map((name) => resolve(directory, name)),
  );
  expect(files.filter((file) => !named.has(file))).toEqual([]);
}

type Loader = typeof loadConfig;
const LOADERS: readonly Loader[] = [loadConfig, loadConfig, loadFrontConfig, loadAgentConfig];

/** A configuration without holes, or problems that lie within the text. */
function check(load: Loader, file: string, text: string | undefined): 'front' | 'agent' | 'refused' {
  const { result, files } = filesOf(() => load(file));
  expect(files.shift()).toBe(file);
  if (text === undefined) {
    expect(result).toMatchObject({ ok: false, problems: [{ line: 1, column: 1 }] });
    expect(files).toEqual([]);
    return 'refused';
  }
  expectNamed(files, text);
  if (result.ok) {
    const { config } = result;
    // Numbers that are none and values that are missing would not come back.
    expect(JSON.parse(JSON.stringify(config))).toEqual(config);
    expect(config.node).toMatch(/^[\w.-]{1,64}$/);
    if (config.kind === 'front') {
      const pools = config.pools.map(({ name }) => name);
      for (const { pool, split, respond, redirect, deny } of config.routes) {
        const actions = [pool, split, respond, redirect, deny].filter((action) => action !== undefined);
        expect(actions).toHaveLength(1);
        const led = [pool ?? [], split?.pools.map(({ name }) => name) ?? []].flat();
        expect(led.filter((name) => !pools.includes(name))).toEqual([]);
      }
      for (const ms of Object.values(config.timeouts))
        if (!(ms >= 1 && ms < 2 ** 31)) throw new Error(`${ms} ms`);
    }
    return config.kind;
  }
  const { problems } = result;
  expect(problems.length).toBeGreaterThan(0);
  expect(problems.length).toBeLessThanOrEqual(50);
  const lines = text.split('\n');
  for (const { line, column } of problems) {
    const width = lines[line - 1]?.length;
    if (width === undefined || column < 1 || column > width + 1)
      throw new Error(`a problem at ${line}:${column} of ${lines.length} lines`);
  }
  const said = formatProblems('f', problems);
  expect(said.filter((one) => one.length > LONGEST_PROBLEM || /[\p{Cc}\p{Zl}\p{Zp}]/u.test(one))).toEqual([]);
  return 'refused';
}

/** The text of a file; undefined where it is not UTF-8. */
function textOf(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

test('a file is a configuration, or has problems at places in it; nothing else is read', async () => {
  const examples = ['front.yaml', 'routing.yaml', 'agent.yaml', 'agent-app.yaml'].map((file) =>
    // Their comments are most of them, and take as long to read as all else.
    fs.readFileSync(join(EXAMPLES, file), 'utf8').replace(/^ *#.*\n/gm, ''),
  );
  const texts = [FRONT, AGENT, FULL_FRONT, FULL_AGENT].map((text) => `${REMARK}${text}${REMARK}`);
  const corpus = [...texts, ...texts, ...examples, ...HOSTILE].map((text) => Buffer.from(text));
  const file = join(directory, 'baton.yaml');
  const counts = { front: 0, agent: 0, refused: 0, 'not UTF-8': 0 };
  const tried = await fuzz('config', {
    corpus,
    dictionary: WORDS,
    cases: 300,
    check: (mutated, random) => {
      // Octets that are no UTF-8 hide all else that is wrong.
      const input = random.oneIn(4) ? mutated : Buffer.from(mutated.toString('latin1'));
      fs.writeFileSync(file, input);
      const text = textOf(input);
      const kind = check(random.pick(LOADERS), file, text);
      counts[text === undefined ? 'not UTF-8' : kind] += 1;
    },
  });
  process.stdout.write(
    `  config: ${counts.front} of fronts, ${counts.agent} of agents, ${counts.refused} refused, ` +
      `${counts['not UTF-8']} not UTF-8\n`,
  );
  expect(Object.prototype).not.toHaveProperty('node');
  expect(tried).toBeGreaterThan(200);
  expect(Math.min(...Object.values(counts))).toBeGreaterThan(tried / 500);
}, 300_000);

test('the corpus has configurations of both kinds, with all that they may name', () => {
  const file = join(directory, 'baton.yaml');
  for (const [text, kind] of [
    [FULL_FRONT, 'front'],
    [FULL_AGENT, 'agent'],
  ] as const) {
    fs.writeFileSync(file, text);
    expect(check(loadConfig, file, text)).toBe(kind);
  }
});
