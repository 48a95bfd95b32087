/**
 * A service of deploy/systemd/ without systemd: a program is run in a lab the way its unit file says.
 *
 * From the file come the command, the user (by a number, so that none has to be made), the capabilities, NoNewPrivileges,
 * UMask, what is to be mounted and prepared before, and what the program may write. What only systemd can do (SystemCallFilter
 * and the other seccomp filters, cgroups) is left out.
 */
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Host } from '../../src/lab/host';
import { AGENT_UID, FRONT_UID, NODE, PROJECT_BELOW_OPT, withPrivileges } from '../lab/unprivileged';
import { UnitFile } from './unit-file';

const UNITS = join(__dirname, '../../deploy/systemd');
const UIDS: Readonly<Record<string, number>> = { 'baton-front': FRONT_UID, 'baton-agent': AGENT_UID };
/** Where the unit files have Node and the configuration, and where they are in the mount namespace. */
const PLACES = { '/usr/bin/node': NODE, '/etc/baton/': '/opt/etc/' } as const;
/** All that systemd puts into a service's environment and Baton could use. */
const ENVIRONMENT = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'LANG=C.UTF-8'];
const READY_TIMEOUT_MS = 10_000;
/** What `install -m 0640 -g baton-front` gives, as the unit files say. */
const CONFIGURATION_MODE = 0o640;

export class Service {
  readonly capabilities: readonly string[];
  readonly uid: number;

  private constructor(
    readonly unit: UnitFile,
    /** Process that keeps the mount namespace: it outlives the program, as the host does. */
    private readonly keeper: number,
  ) {
    this.capabilities = unit.words('Service.AmbientCapabilities');
    this.uid = uidOf(unit.value('Service.User'));
  }

  /** Makes the mount namespace on a host of the lab; `directory` is where the lab keeps its files. */
  static async prepare(name: string, host: Host, directory: string): Promise<Service> {
    const unit = UnitFile.read(join(UNITS, `${name}.service`));
    const empty = join(directory, `${name}-${host.name}`);
    mkdirSync(empty);
    const script = [...mountScript(unit), 'echo mounted', 'exec sleep infinity'].join('\n');
    const namespace = ['unshare', '--mount', '--propagation', 'private'];
    const keeper = host.spawn([...namespace, 'sh', '-ec', script, 'sh', empty]);
    await keeper.waitForLine('mounted', READY_TIMEOUT_MS);
    return new Service(unit, keeper.pid);
  }

  /**
   * Puts a configuration to where the unit file has it, with the files of the lab that it names (certificates, the token):
   * root's, and readable for the service.
   */
  install(config: string): void {
    const expected = basename(this.unit.value('Service.ExecStart').split(' ').at(-1) ?? '');
    const directory = dirname(config);
    const text = readFileSync(config, 'utf8').replaceAll(/"([^"]+)"/g, (quoted, path: string) => {
      if (dirname(path) !== directory && dirname(dirname(path)) !== directory) return quoted;
      return JSON.stringify(
        this.#put(path.slice(directory.length + 1).replaceAll('/', '-'), readFileSync(path)),
      );
    });
    this.#put(expected, text);
  }

  /** What starts the program; `without` takes capabilities away from it, `variables` are `NAME=VALUE`. */
  command(variables: readonly string[] = [], without: readonly string[] = []): string[] {
    const { uid, unit } = this;
    const kept = (name: string): boolean => !without.includes(name);
    const privileges = {
      uid,
      capabilities: this.capabilities.filter(kept),
      bounding: unit.words('Service.CapabilityBoundingSet').filter(kept),
    };
    if (!unit.isOn('Service.NoNewPrivileges')) throw new Error('NoNewPrivileges= is not set');
    // Soft and hard limit as systemd has them by default; more than the hard one takes CAP_SYS_RESOURCE.
    const limits = ['prlimit', '--nofile=1024:', '--'];
    const umask = ['sh', '-c', `umask ${unit.value('Service.UMask')}; exec "$@"`, 'sh'];
    const program = inPlace(unit.value('Service.ExecStart')).split(' ');
    const environment = ['env', '-i', ...ENVIRONMENT, ...variables];
    return this.inside([...environment, ...limits, ...withPrivileges(privileges, [...umask, ...program])]);
  }

  /** Runs a command as root where the service sees what it sees. */
  inside(argv: readonly string[]): string[] {
    return ['nsenter', `--mount=/proc/${this.keeper}/ns/mnt`, '--', ...argv];
  }

  /** Returns the file as the service sees it. */
  #put(name: string, content: string | Buffer): string {
    const path = PLACES['/etc/baton/'] + name;
    const outside = `/proc/${this.keeper}/root${path}`;
    writeFileSync(outside, content);
    chownSync(outside, 0, this.uid);
    chmodSync(outside, CONFIGURATION_MODE);
    return path;
  }
}

function uidOf(user: string): number {
  const uid = UIDS[user];
  if (uid === undefined) throw new Error(`no number for the user ${user}`);
  return uid;
}

function inPlace(command: string): string {
  return Object.entries(PLACES).reduce((text, [from, to]) => text.replaceAll(from, to), command);
}

function mountScript(unit: UnitFile): string[] {
  const runtime = unit.words('Service.RuntimeDirectory').map((name) => `/run/${name}`);
  const writable = [...unit.words('Service.ReadWritePaths'), ...runtime];
  return [
    ...PROJECT_BELOW_OPT,
    'mount -t tmpfs -o mode=0755 tmpfs /opt/etc',
    // Made empty, so that nothing is left on the machine.
    'mount -t tmpfs -o mode=0755 tmpfs /run',
    ...unit.words('Service.RuntimeDirectory').flatMap((name) => runtimeDirectory(unit, name)),
    ...unit.words('Unit.RequiresMountsFor').flatMap(mountOf),
    ...unit.values('Service.ExecStartPre').map(preparation),
    ...(unit.isOn('Service.ProtectHome') ? ['/home', '/root'].map(emptyAndClosed) : []),
    ...(unit.isOn('Service.PrivateTmp') ? ['/tmp', '/var/tmp'].map(emptyAndOpen) : []),
    ...(unit.isOn('Service.ProtectKernelTunables') ? readOnlyKernel(writable) : []),
    ...(unit.value('Service.ProtectSystem') === 'strict' ? [readOnlyAllBut(writable)] : []),
  ];
}

function runtimeDirectory(unit: UnitFile, name: string): string[] {
  const uid = uidOf(unit.value('Service.User'));
  const path = `/run/${name}`;
  return [`mkdir -m 0755 ${path}`, `chown ${uid}:${uid} ${path}`, `mount --bind ${path} ${path}`];
}

/** The mount unit of a path, done by hand. */
function mountOf(path: string): string[] {
  const unit = UnitFile.read(join(UNITS, `${path.slice(1).replaceAll('/', '-')}.mount`));
  const [where, type, options] = ['Where', 'Type', 'Options'].map((key) => unit.value(`Mount.${key}`));
  if (where !== path) throw new Error(`${path} is mounted at ${where ?? ''}`);
  return [
    `mkdir -p ${path}`,
    `mount -t ${type ?? ''} -o ${options ?? ''} ${unit.value('Mount.What')} ${path}`,
  ];
}

/** A command of ExecStartPre, which root runs (`+`); users are numbers here. */
function preparation(command: string): string {
  if (!command.startsWith('+')) throw new Error(`ExecStartPre=${command}: is not run by root`);
  const numbered = Object.entries(UIDS).reduce(
    (text, [user, uid]) => text.replaceAll(user, `${uid}`),
    command,
  );
  return numbered.slice(1);
}

const emptyAndClosed = (path: string): string => `mount -t tmpfs -o ro,mode=0000 tmpfs ${path}`;
const emptyAndOpen = (path: string): string => `mount -t tmpfs -o mode=1777 tmpfs ${path}`;

function readOnlyKernel(writable: readonly string[]): string[] {
  const again = writable.filter((path) => path.startsWith('/proc/sys/'));
  return [
    'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys',
    'mount -o remount,bind,ro /sys',
    ...again.map((path) => `mount --bind ${path} ${path} && mount -o remount,bind,rw ${path}`),
  ];
}

/** ProtectSystem=strict leaves /dev, /proc and /sys to other settings. What another mount hides cannot be reached, or written. */
function readOnlyAllBut(writable: readonly string[]): string {
  const spared = ['/dev', '/proc', '/sys', '/tmp', '/var/tmp', '/opt/etc', ...writable];
  const patterns = spared.flatMap((path) => [path, `${path}/*`]).join('|');
  return [
    `cut -d ' ' -f 5 /proc/self/mountinfo | while read -r path; do`,
    `  case "$path" in ${patterns}) ;; *) mount -o remount,bind,ro "$path" 2>&- || : ;; esac`,
    'done',
  ].join('\n');
}
