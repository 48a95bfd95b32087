import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { ADOPTION_RESULTS } from '../src/agent/adopter';
import { DIVERSIONS } from '../src/agent/detour';
import { DISCOVERY_RESULTS } from '../src/discovery/watch';
import { HANDOFF_RESULTS } from '../src/front/backend';
import { RESOURCES } from '../src/front/exhaustion';
import { BACKEND_STATES } from '../src/front/backend-state';
import { FALLBACK_REASONS } from '../src/front/handoff';
import { EJECTION_CAUSES } from '../src/health/ejections';
import { REPAIR_CODES } from '../src/repair/errors';
import { REJECT_REASONS } from '../src/wire/frames';

const ROOT = join(__dirname, '..');
const SOURCE = join(ROOT, 'src');
const DOCUMENT = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8');

/** Rooms from the roof down; rooms of one storey may use each other. */
const STOREYS = [
  ['cli', 'cli.ts'],
  ['front', 'agent'],
  ['config', 'discovery', 'repair', 'steer', 'wire', 'relay', 'health', 'observe', 'succession'],
  ['peek', 'route', 'balance'],
  ['kernel', 'lab'],
];
/** What rooms that are pure, or stand alone, may import of the house: their own files and what is named here. */
const ALONE: Readonly<Record<string, readonly string[]>> = {
  peek: [],
  route: ['peek/head', 'peek/cookies', 'kernel/flow'],
  balance: ['peek/head', 'peek/cookies'],
  kernel: [],
  lab: ['kernel/namespace'],
};

interface Import {
  readonly from: string;
  readonly to: string;
}

function houseImports(): Import[] {
  const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  return files.flatMap((file) => {
    const text = readFileSync(join(SOURCE, file), 'utf8');
    return [...text.matchAll(/from '(\.[^']*)'/g)].map(([, target = '']) => ({
      from: file,
      to: relative(SOURCE, join(SOURCE, dirname(file), target)),
    }));
  });
}

function roomOf(path: string): string {
  return path.split(sep)[0] ?? '';
}

function storeyOf(path: string): number {
  return STOREYS.findIndex((rooms) => rooms.includes(roomOf(path)));
}

describe('the house', () => {
  const imports = houseImports();

  test('every room has its storey', () => {
    expect(imports.filter(({ from, to }) => storeyOf(from) < 0 || storeyOf(to) < 0)).toEqual([]);
  });

  test('imports run downwards', () => {
    expect(imports.length).toBeGreaterThan(100);
    expect(imports.filter(({ from, to }) => storeyOf(to) < storeyOf(from))).toEqual([]);
    expect(
      imports.filter(
        ({ from, to }) => storeyOf(from) === 1 && storeyOf(to) === 1 && roomOf(from) !== roomOf(to),
      ),
    ).toEqual([]);
  });

  test('pure rooms stand alone', () => {
    const strays = imports.filter(({ from, to }) => {
      const allowed = ALONE[roomOf(from)];
      return allowed !== undefined && roomOf(to) !== roomOf(from) && !allowed.includes(to);
    });
    expect(strays).toEqual([]);
  });
});

describe('ARCHITECTURE.md', () => {
  test.each([
    ['codes of a failed dump or restore', REPAIR_CODES],
    ['reasons of REJECTED', REJECT_REASONS],
    ['results of handoffs_total', HANDOFF_RESULTS],
    ['reasons of fallbacks_total', FALLBACK_REASONS],
    ['resources of exhausted_total', RESOURCES],
    ['states of a backend', BACKEND_STATES],
    ['causes of ejections_total', EJECTION_CAUSES],
    ['results of agent_adoptions_total', ADOPTION_RESULTS],
    ['results of discovery_total', DISCOVERY_RESULTS],
    ['actions of agent_diverted_requests_total', DIVERSIONS],
  ])('lists all %s', (_what, codes: readonly string[]) => {
    expect(codes.filter((code) => !DOCUMENT.includes(`\`${code}\``))).toEqual([]);
  });

  test('gives the reason for each dependency', () => {
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    expect(Object.keys(dependencies).filter((name) => !DOCUMENT.includes(name))).toEqual([]);
  });
});
