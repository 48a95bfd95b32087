import fc from 'fast-check';
import { join } from 'node:path';
import { stringify } from 'yaml';
import {
  loadAgentConfig,
  loadConfig,
  loadFrontConfig,
  parseAgentConfig,
  parseAgentConfigObject,
  parseConfig,
  parseFrontConfig,
} from '../../src/config/load';
import { formatProblems } from '../../src/config/problems';
import { AGENT, FRONT, configOf } from './texts';

const EXAMPLES = join(__dirname, '../../config');

test('the kind is told by the keys', () => {
  expect(configOf(parseConfig(FRONT, 'f')).kind).toBe('front');
  expect(configOf(parseConfig(AGENT, 'f')).kind).toBe('agent');
  const message = 'neither a front (listeners, routes, pools) nor an agent (vips, serve)';
  for (const text of ['', 'node: x\n', '- vips\n', 'toString: 1\n']) {
    expect(parseConfig(text, 'f')).toEqual({ ok: false, problems: [{ line: 1, column: 1, message }] });
  }
});

test('a file of one kind does not pass for the other', () => {
  expect(loadFrontConfig(join(EXAMPLES, 'front.yaml')).ok).toBe(true);
  expect(loadAgentConfig(join(EXAMPLES, 'agent.yaml')).ok).toBe(true);
  expect(loadFrontConfig(join(EXAMPLES, 'agent.yaml')).ok).toBe(false);
  expect(loadAgentConfig(join(EXAMPLES, 'front.yaml')).ok).toBe(false);
});

test.each([loadConfig, loadFrontConfig, loadAgentConfig])('%p: an unreadable file is a problem', (load) => {
  const message = 'cannot read: ENOENT: no such file or directory';
  expect(load('/absent.yaml')).toEqual({ ok: false, problems: [{ line: 1, column: 1, message }] });
});

test('an object that is no data is a problem', () => {
  const cyclic: Record<string, unknown> = { node: 'b1' };
  cyclic.control = cyclic;
  expect(parseAgentConfigObject(cyclic).ok).toBe(false);
  const problems = [{ line: 0, column: 0, message: 'the configuration is not plain data' }];
  expect(parseAgentConfigObject({ node: () => 'b1' })).toEqual({ ok: false, problems });
});

describe('whatever comes in', () => {
  /** Each problem lies within the text, on one line; there are between 1 and 50 of them. */
  function expectSound(text: string) {
    for (const parse of [parseConfig, parseFrontConfig, parseAgentConfig]) {
      const loaded = parse(text, __filename);
      if (loaded.ok) continue;
      expect(loaded.problems.length).toBeGreaterThan(0);
      expect(loaded.problems.length).toBeLessThanOrEqual(50);
      const lines = text.split('\n');
      for (const { line, column } of loaded.problems) {
        expect(line).toBeGreaterThanOrEqual(1);
        expect(column).toBeGreaterThanOrEqual(1);
        expect(line).toBeLessThanOrEqual(lines.length);
        expect(column).toBeLessThanOrEqual((lines[line - 1]?.length ?? 0) + 1);
      }
      expect(formatProblems('f', loaded.problems).filter((line) => line.includes('\n'))).toEqual([]);
    }
  }

  /** Keys of the schema with any values, and any keys with plausible values: past the first check, not the last. */
  const keys = fc.constantFrom(
    ...[
      'node',
      'listeners',
      'routes',
      'pools',
      'steering',
      'control',
      'admin',
      'timeouts',
      'limits',
      'workers',
    ],
    ...[
      'vips',
      'serve',
      'name',
      'bind',
      'match',
      'host',
      'headers',
      'backends',
      'via',
      'health',
      'tls',
      'insecure',
    ],
  );
  const leaves = fc.oneof(
    fc.constantFrom('web', '198.18.0.1', '198.18.0.1:80', '[::1]:80', '10s', '/a', 'http', true, null),
    fc.string({ unit: 'binary' }),
    fc.double(),
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: 'medium' },
      leaves,
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(fc.oneof(keys, fc.string()), tie('tree'), { maxKeys: 6 }),
    ),
  }));

  test('any text is a configuration or has problems', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), expectSound), {
      numRuns: 200,
    });
  });

  test('any tree is a configuration or has problems', () => {
    fc.assert(
      fc.property(tree, (value) => expectSound(stringify(value))),
      { numRuns: 200 },
    );
  });

  test('a valid text with a piece cut out or put in', () => {
    const edit = fc.tuple(fc.constantFrom(FRONT, AGENT), fc.nat(), fc.nat(8), fc.string({ maxLength: 4 }));
    const property = fc.property(edit, ([text, offset, length, piece]) => {
      const at = offset % text.length;
      expectSound(text.slice(0, at) + piece + text.slice(at + length));
    });
    fc.assert(property, { numRuns: 200 });
  });

  test('any object', () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withMap: true, withDate: true }), (value) => {
        expect(parseAgentConfigObject(value).ok).toBe(false);
      }),
    );
  });
});
