import { execute } from '../../src/lab/execute';
import { join } from 'node:path';
import { withPrivileges } from '../lab/unprivileged';

const MODULE = join(__dirname, '../../dist/kernel/capabilities');
/** What a process without it cannot read: files of another owner, which a checkout may be. */
const READ_ALL = 'CAP_DAC_OVERRIDE';

/** What a process with these capabilities says that it lacks for loading the steering program. */
async function advice(...capabilities: string[]): Promise<string> {
  const script = `console.log(require('${MODULE}').adviceOnCapabilities('CAP_BPF', 'CAP_NET_ADMIN'))`;
  const privileges = { uid: 0, capabilities: [...capabilities, READ_ALL] };
  const { code, stdout, stderr } = await execute(
    withPrivileges(privileges, [process.execPath, '-e', script]),
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout.trim();
}

test.each([
  { held: ['CAP_BPF'], missing: 'CAP_NET_ADMIN is missing', option: '--cap-add NET_ADMIN (container)' },
  { held: ['CAP_NET_ADMIN'], missing: 'CAP_BPF is missing', option: 'AmbientCapabilities=CAP_BPF (systemd)' },
  // CAP_SYS_ADMIN includes CAP_BPF.
  {
    held: ['CAP_SYS_ADMIN'],
    missing: 'CAP_NET_ADMIN is missing',
    option: 'AmbientCapabilities=CAP_NET_ADMIN ',
  },
  {
    held: [],
    missing: 'CAP_BPF and CAP_NET_ADMIN are missing',
    option: '--cap-add BPF --cap-add NET_ADMIN ',
  },
])('with $held a process is told: $missing', async ({ held, missing, option }) => {
  const said = await advice(...held);
  expect(said.startsWith(`${missing}: grant with `)).toBe(true);
  expect(said).toContain(option);
});

test('a process that has them is told to look elsewhere', async () => {
  expect(await advice('CAP_BPF', 'CAP_NET_ADMIN')).toMatch(
    /^refused although this process has CAP_BPF and CAP_NET_ADMIN: /,
  );
});
