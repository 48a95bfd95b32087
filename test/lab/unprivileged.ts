import { join } from 'node:path';

/**
 * Programs of this project as users that are not root. Such a user may not be able to read the place where the checkout or
 * Node lies (a home directory, say): so the program sees both below /opt, in a mount namespace.
 */

const ROOT = join(__dirname, '../..');

/** The project and Node as a program sees them after `PROJECT_BELOW_OPT`. */
export const PROJECT = '/opt/baton';
export const NODE = '/opt/bin/node';

/** Numeric users that no machine has: nothing has to be made for them. */
export const FRONT_UID = 64_001;
export const AGENT_UID = 64_002;
export const OTHER_UID = 64_003;

export interface Privileges {
  readonly uid: number;
  /** All that the program has, `CAP_BPF` and so on. */
  readonly capabilities: readonly string[];
  /** What it could get at most; the same by default. */
  readonly bounding?: readonly string[];
}

/** Puts a command under setpriv: that user without groups, these capabilities and no way to more. */
export function withPrivileges(privileges: Privileges, argv: readonly string[]): string[] {
  const { uid, capabilities, bounding = capabilities } = privileges;
  const user = uid === 0 ? [] : [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
  const sets =
    uid === 0 ? [] : [`--inh-caps=${setOf(capabilities)}`, `--ambient-caps=${setOf(capabilities)}`];
  return ['setpriv', ...user, ...sets, `--bounding-set=${setOf(bounding)}`, '--no-new-privs', '--', ...argv];
}

/** `-all,+net_admin,+bpf` */
function setOf(capabilities: readonly string[]): string {
  return ['-all', ...capabilities.map((name) => `+${name.slice('CAP_'.length).toLowerCase()}`)].join(',');
}

/**
 * Lines of a shell that shows the project below /opt, through an empty directory `$1`: what /opt itself holds, the checkout
 * perhaps, is hidden only then.
 */
export const PROJECT_BELOW_OPT = [
  'mount -t tmpfs -o mode=0755 tmpfs "$1"',
  'mkdir -p "$1/baton" "$1/bin" "$1/etc"',
  `mount --rbind '${ROOT}' "$1/baton"`,
  'touch "$1/bin/node"',
  `mount --bind '${process.execPath}' "$1/bin/node"`,
  'mount --rbind "$1" /opt',
];

/**
 * Puts a command into a mount namespace of its own where every user finds the project; `directory` is an empty one. What
 * `shown` names is below /opt too, by that name.
 */
export function withProject(
  directory: string,
  argv: readonly string[],
  shown: Readonly<Record<string, string>> = {},
): string[] {
  const others = Object.entries(shown).flatMap(([name, path]) => [
    `mkdir /opt/${name}`,
    `mount --bind '${path}' /opt/${name}`,
  ]);
  const script = [...PROJECT_BELOW_OPT, ...others, 'shift', 'exec "$@"'].join('\n');
  const namespace = ['unshare', '--mount', '--propagation', 'private'];
  return [...namespace, 'sh', '-ec', script, 'sh', directory, ...argv];
}
