import { join } from 'node:path';
import { execute } from '../../src/lab/execute';
import { inNamespace } from '../../src/lab/ip';
import { withNamespace } from '../kernel/namespace';
import { withPrivileges } from '../lab/unprivileged';

const DIST = join(__dirname, '../../dist');
const FIXTURE = join(__dirname, 'freeze.fixture.cjs');
const ATTACHES = 5_000;
const NEEDED = ['CAP_NET_ADMIN', 'CAP_DAC_OVERRIDE'];

interface Frozen {
  readonly classicBecause: string | null;
  readonly heard: number;
  readonly after: number;
  /** Of one freeze and unfreeze. */
  readonly microseconds: number;
}

function freezeWith(capabilities: readonly string[]): Promise<Frozen> {
  return withNamespace(async ({ name }) => {
    const node = [process.execPath, '--expose-gc', FIXTURE, DIST, JSON.stringify([{ attaches: ATTACHES }])];
    const argv = inNamespace(name, withPrivileges({ uid: 0, capabilities }, node));
    const { code, stdout, stderr } = await execute(argv, { timeoutMs: 30_000 });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return JSON.parse(stdout) as Frozen;
  });
}

test('a connection is frozen by a classic filter where eBPF is not allowed, and hears as little', async () => {
  const ebpf = await freezeWith([...NEEDED, 'CAP_BPF']);
  const classic = await freezeWith(NEEDED);
  expect(ebpf).toMatchObject({ classicBecause: null, heard: 0, after: 1000 });
  expect(classic).toMatchObject({ heard: 0, after: 1000 });
  expect(classic.classicBecause).toMatch(/^load the freeze filter: EPERM \(CAP_BPF is missing: grant with /);
  process.stdout.write(
    `  freeze and unfreeze, ${ATTACHES} times each: eBPF ${ebpf.microseconds.toFixed(1)} µs, ` +
      `classic ${classic.microseconds.toFixed(1)} µs\n`,
  );
}, 70_000);
