import { join } from 'node:path';
import type { Lab } from '../../src/lab/lab';
import { withLab } from '../lab/with-lab';

const MODULE = join(__dirname, '../../dist/steer/neighbour.js');

/** curl's exit code. */
const COULD_NOT_CONNECT = 7;

/** What the kernel of the front's host finds out. */
async function answers(lab: Lab, address: string): Promise<boolean> {
  // Its waits do not keep a process alive.
  const script = `
    const alive = setInterval(() => undefined, 1000);
    require(${JSON.stringify(MODULE)}).neighbourAnswers('${address}').then((yes) => {
      console.log(yes);
      clearInterval(alive);
    });`;
  const { stdout, stderr, code } = await lab.host('f1').run([process.execPath, '-e', script]);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as boolean;
}

test('a neighbour that is there answers, and one that is gone does not', async () => {
  await withLab({ backends: 3 }, async (lab) => {
    const [f1, b1, b2, b3] = ['f1', 'b1', 'b2', 'b3'].map((name) => lab.host(name));
    if (!f1 || !b1 || !b2 || !b3) throw new Error('no such host');
    const addresses = [b1, b2].flatMap(({ address4, address6 }) => [address4, address6]);
    // Nobody has ever spoken to it.
    expect(await answers(lab, b1.address4)).toBe(false);
    for (const address of [...addresses, b3.address4]) {
      // Nobody listens there, which its kernel says: that takes its link-layer address.
      const { code } = await f1.run([
        'curl',
        '-sS',
        '-g',
        `http://${address.includes(':') ? `[${address}]` : address}/`,
      ]);
      expect(code).toBe(COULD_NOT_CONNECT);
    }
    await b2.run(['ip', 'link', 'set', 'eth0', 'down']);
    const found = await Promise.all(addresses.map((address) => answers(lab, address)));
    expect(found).toEqual([true, true, false, false]);

    // Nobody may ask for an entry that an operator has made.
    const { stdout } = await f1.run(['ip', '-json', 'neigh', 'show', 'to', b3.address4]);
    const [{ lladdr }] = JSON.parse(stdout) as [{ lladdr: string }];
    await f1.run([
      'ip',
      'neigh',
      'replace',
      b3.address4,
      'lladdr',
      lladdr,
      'dev',
      'eth0',
      'nud',
      'permanent',
    ]);
    expect(await answers(lab, b3.address4)).toBe(false);
    const after = await f1.run(['ip', 'neigh', 'show', 'to', b3.address4]);
    expect(after.stdout).toContain('PERMANENT');
  });
}, 60_000);
