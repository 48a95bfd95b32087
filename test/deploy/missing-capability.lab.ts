/** A program of deploy/systemd/ that lacks a capability ends at start, and says which one and what to do. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Program } from '../../src/lab/cluster';
import { Lab } from '../../src/lab/lab';
import { VIP4 } from '../../src/lab/topology';
import { PROJECT } from '../lab/unprivileged';
import { Services } from './services';

const START_MS = 40_000;
const CLEAR_AMBIENT = `NODE_OPTIONS=--require=${PROJECT}/test/deploy/clear-ambient.cjs`;

const CONFIGURATIONS: Readonly<Record<Program, Readonly<Record<string, unknown>>>> = {
  front: {
    node: 'front-1',
    listeners: [{ name: 'web', bind: `${VIP4}:80`, protocol: 'http' }],
    routes: [{ pool: 'web' }],
    pools: { web: { backends: [{ name: 'b1', agent: '198.18.0.21:7400', via: '198.18.0.21' }] } },
    steering: { interface: 'eth0', pin: '/run/baton/bpf/front' },
    control: { insecure: true },
  },
  agent: {
    node: 'b1',
    control: { listen: '198.18.0.21:7400', insecure: true },
    vips: [VIP4],
    manage_vips: true,
    serve: { upstream: 'http://127.0.0.1:8080' },
  },
};

let lab: Lab;
let services: Services;

beforeAll(async () => {
  lab = await Lab.create({ backends: 1 });
  services = new Services();
}, START_MS);

afterAll(() => lab.destroy());

/** The cause that a program gives for not starting. */
async function causeOf(program: Program): Promise<string> {
  const host = lab.host(program === 'front' ? 'f1' : 'b1');
  const config = join(lab.dir, `${program}.yaml`);
  writeFileSync(config, JSON.stringify(CONFIGURATIONS[program]));
  const { code, stdout, stderr } = await host.run(await services.command(program, host, config));
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
  const lines = stdout.trim().split('\n');
  const parsed = lines.map((line) => JSON.parse(line) as Record<string, string>);
  // One line says why, behind what was done by then.
  const levels = parsed.map(({ level }) => (level === 'info' ? 'warn' : level));
  expect(levels).toEqual([...lines.slice(1).map(() => 'warn'), 'fatal']);
  const { cause = '', msg } = parsed.at(-1) ?? {};
  expect(msg).toBe(`${program} failed`);
  return cause;
}

test.each([
  { program: 'front', name: 'CAP_NET_ADMIN', step: /^load eBPF object: EPERM/ },
  { program: 'front', name: 'CAP_BPF', step: /^load eBPF object: EPERM/ },
  { program: 'front', name: 'CAP_NET_BIND_SERVICE', step: /: bind 198\.19\.0\.1:80: EACCES/ },
  { program: 'agent', name: 'CAP_NET_ADMIN', step: /^rehearse a restore: .*: EPERM/ },
] as const)(
  '$program: $name',
  async ({ program, name, step }) => {
    Object.assign(services, { without: [name], variables: [] });
    const cause = await causeOf(program);
    expect(cause).toMatch(step);
    expect(cause).toContain(
      `${name} is missing: grant with AmbientCapabilities=${name} (systemd) or --cap-add `,
    );
  },
  START_MS,
);

// Both start `ip`, which can do nothing without it.
test.each([
  { program: 'front', step: /^capabilities: / },
  {
    program: 'agent',
    step: /^manage_vips: add 198\.19\.0\.1 to lo: RTNETLINK answers: Operation not permitted/,
  },
] as const)(
  '$program: CAP_NET_ADMIN for the programs that it starts',
  async ({ program, step }) => {
    Object.assign(services, { without: [], variables: [CLEAR_AMBIENT] });
    const cause = await causeOf(program);
    expect(cause).toMatch(step);
    expect(cause).toContain(
      'this process has CAP_NET_ADMIN, the programs that it starts have not: grant it as an ambient',
    );
  },
  START_MS,
);
