/** The hot functions cost what they should. In a process of their own: jest's sandbox would be measured too. */
import { join } from 'node:path';
import { execute } from '../../src/lab/execute';
import { inNamespace } from '../../src/lab/ip';
import { withNamespace } from '../kernel/namespace';

const ROOT = join(__dirname, '../..');
const PROGRAM = ['--require', join(ROOT, 'benchmarks/typescript.cjs'), join(ROOT, 'benchmarks/micro.ts')];
/** It takes 12 s, and more where something has to be measured again. */
const TIMEOUT_MS = 60_000;

test(
  'no hot function costs twice what it did, in terms of what the machine can do',
  async () => {
    const { code, stdout, stderr } = await withNamespace(({ name }) =>
      execute(inNamespace(name, [process.execPath, ...PROGRAM, '--check']), { timeoutMs: TIMEOUT_MS }),
    );
    process.stdout.write(stdout);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  },
  TIMEOUT_MS + 10_000,
);
