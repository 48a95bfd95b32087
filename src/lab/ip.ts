import { execute } from './execute';

/** Where `ip netns` keeps its names; a file here is a handle on a network namespace. */
export const NETNS_DIR = '/run/netns';

/** Puts a command into a network namespace and no other: unlike `ip netns exec`, bpffs and /proc stay visible. */
export function inNamespace(netns: string, argv: readonly string[]): string[] {
  return ['nsenter', `--net=${NETNS_DIR}/${netns}`, '--', ...argv];
}

/** Runs many `ip` commands in one process and throws at the first that fails. */
export async function ipBatch(step: string, commands: readonly string[]): Promise<void> {
  await expectSuccess(step, ['ip', '-batch', '-'], commands);
}

/** Runs `ip` commands inside a namespace, after writing sysctls there (paths below /proc/sys/net). */
export async function configure(
  netns: string,
  sysctls: Readonly<Record<string, string>>,
  commands: readonly string[],
): Promise<void> {
  const writes = Object.entries(sysctls).map(([path, value]) => `echo '${value}' > /proc/sys/net/${path}`);
  const script = ['set -e', ...writes, 'exec ip -batch -'].join('\n');
  await expectSuccess(`configure ${netns}`, inNamespace(netns, ['sh', '-c', script]), commands);
}

/** The links of a namespace as `ip -json -details link` gives them, as far as the lab reads them. */
export interface Link {
  readonly ifname: string;
  readonly operstate: string;
  readonly linkinfo?: { readonly info_kind?: string; readonly info_slave_data?: { readonly state?: string } };
}

export async function links(netns: string): Promise<Link[]> {
  const stdout = await expectSuccess(`list links of ${netns}`, ['ip', '-n', netns, '-j', '-d', 'link'], []);
  return JSON.parse(stdout) as Link[];
}

async function expectSuccess(
  step: string,
  argv: readonly string[],
  lines: readonly string[],
): Promise<string> {
  const { code, stdout, stderr } = await execute(argv, { input: lines.map((line) => `${line}\n`).join('') });
  if (code !== 0) throw new Error(`${step}: exit ${code}: ${stderr.trim()}`);
  return stdout;
}
