import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What the two versions of control groups call the same (Linux, admin-guide/cgroup-v2 and cgroup-v1/memory). */
interface Version {
  readonly mount: readonly string[];
  readonly limit: string;
  readonly peak: string;
  /** Where a line `oom_kill N` is. */
  readonly kills: string;
}

/** A host has the memory controller in one of them; the other one cannot be mounted, or has no such files. */
const VERSIONS: readonly Version[] = [
  {
    mount: ['cgroup', '-o', 'memory'],
    limit: 'memory.limit_in_bytes',
    peak: 'memory.max_usage_in_bytes',
    kills: 'memory.oom_control',
  },
  { mount: ['cgroup2'], limit: 'memory.max', peak: 'memory.peak', kills: 'memory.events' },
];

/**
 * Control groups whose programs have so much memory and no more. What the kernel keeps for them counts with it; their sockets'
 * buffers do so in version 2 only.
 */
export class MemoryLimits {
  readonly #root = mkdtempSync(join(tmpdir(), 'baton-memory-'));
  readonly #version: Version;
  readonly #groups: string[] = [];

  constructor() {
    const mounted = VERSIONS.find((version) => this.#mount(version));
    if (mounted === undefined) throw new Error('no memory controller that this process may use');
    this.#version = mounted;
  }

  /** The command that gives a program its limit, and becomes it. */
  through(program: string, megabytes: number): readonly string[] {
    const group = this.#group(program);
    mkdirSync(group);
    this.#groups.push(group);
    writeFileSync(join(group, this.#version.limit), String(megabytes * 2 ** 20));
    return ['sh', '-c', `echo $$ >'${join(group, 'cgroup.procs')}' && exec "$@"`, 'limited'];
  }

  /** Most that a program has had, MB: what the kernel could take back at any time (files) included. */
  peak(program: string): number {
    return Number(readFileSync(join(this.#group(program), this.#version.peak), 'latin1')) / 2 ** 20;
  }

  /** How often the kernel has killed in a program's group. */
  kills(program: string): number {
    const text = readFileSync(join(this.#group(program), this.#version.kills), 'latin1');
    return Number(/^oom_kill (\d+)$/m.exec(text)?.[1]);
  }

  /** The programs have ended. */
  remove(): void {
    for (const group of this.#groups) rmdirSync(group);
    execFileSync('umount', [this.#root]);
    rmdirSync(this.#root);
  }

  #group(program: string): string {
    return join(this.#root, `baton-${process.pid}-${program}`);
  }

  #mount({ mount, limit }: Version): boolean {
    try {
      execFileSync('mount', ['-t', ...mount, 'none', this.#root], { stdio: 'ignore' });
    } catch {
      return false;
    }
    try {
      if (limit === 'memory.max') writeFileSync(join(this.#root, 'cgroup.subtree_control'), '+memory');
      return true;
    } catch {
      execFileSync('umount', [this.#root]);
      return false;
    }
  }
}
