import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Lab } from '../../src/lab/lab';
import { withLab } from '../lab/with-lab';

const MODULE = join(__dirname, '../../dist/steer/next-hops.js');

/** Runs a script on the front's host that has `hops`; returns what it prints, and how often it ran `ip`. */
async function run(lab: Lab, script: string): Promise<{ said: unknown; runs: number }> {
  const directory = mkdtempSync(join(tmpdir(), 'baton-ip-'));
  try {
    const log = join(directory, 'runs');
    writeFileSync(log, '');
    const { stdout: found } = await lab.host('f1').run(['sh', '-c', 'command -v ip']);
    writeFileSync(join(directory, 'ip'), `#!/bin/sh\necho >> ${log}\nexec ${found.trim()} "$@"\n`);
    chmodSync(join(directory, 'ip'), 0o755);
    const text = `
      process.env.PATH = ${JSON.stringify(directory)} + ':' + process.env.PATH;
      const { NextHops } = require(${JSON.stringify(MODULE)});
      const hops = new NextHops();
      console.log(JSON.stringify((() => { ${script} })()));`;
    const { code, stdout, stderr } = await lab.host('f1').run([process.execPath, '-e', text]);
    if (code !== 0) throw new Error(stderr);
    return { said: JSON.parse(stdout) as unknown, runs: readFileSync(log, 'utf8').length };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('many addresses take one run of ip, and each has its next hop or the reason why not', async () => {
  await withLab({ backends: 1 }, async (lab) => {
    const { address4, address6 } = lab.host('b1');
    const own = lab.host('f1').address4;
    const asked = [address4, '203.0.113.9', address6, own, '2001:db8::9', '127.0.0.1'];
    const many = Array.from({ length: 1000 }, (_, k) => `198.18.${100 + (k >> 8)}.${k & 255}`);
    const { said, runs } = await run(
      lab,
      `const asked = ${JSON.stringify(asked)};
       hops.ask([...asked, ...${JSON.stringify(many)}]);
       // Known by now, the failed ones too.
       hops.ask(asked);
       ${JSON.stringify(many)}.forEach((via) => hops.of(via));
       return asked.map((via) => hops.objection(via) ?? null);`,
    );
    expect(said).toEqual([
      null,
      'via 203.0.113.9: no route: RTNETLINK answers: Network is unreachable',
      null,
      `via ${own}: is an address of this host, not a neighbour`,
      'via 2001:db8::9: no route: RTNETLINK answers: Network is unreachable',
      'via 127.0.0.1: is an address of this host, not a neighbour',
    ]);
    expect(runs).toBe(1);
  });
}, 30_000);

test('one by one they are the same as together', async () => {
  await withLab({ backends: 1 }, async (lab) => {
    const { address4, address6 } = lab.host('b1');
    const { said, runs } = await run(
      lab,
      `const { NextHops } = require(${JSON.stringify(MODULE)});
       const together = new NextHops();
       const vias = ${JSON.stringify([address4, address6])};
       together.ask(vias);
       const text = (hop) => hop.address.toString('hex') + ' ' + hop.ifindex;
       return [...vias, ...vias].map((via) => text(hops.of(via))).concat(vias.map((via) => text(together.of(via))));`,
    );
    const [four, six] = said as string[];
    expect(said).toEqual([four, six, four, six, four, six]);
    expect(runs).toBe(3);
  });
}, 30_000);
