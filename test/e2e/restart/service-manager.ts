import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '../../../src/lab/cluster';
import type { LabProcess, LabProgram } from '../../../src/lab/lab-process';

const SCRIPT = join(__dirname, 'manager.pl');
const CLI = join(__dirname, '../../../dist/cli.js');
/** On a machine that has other work too. */
const TIMEOUT_MS = 60_000;

/** Holds the listening sockets of a cluster's front and starts one front after the other: see manager.pl. */
export class ServiceManager {
  /** Lines of the manager's own that have been looked at. */
  #read = 0;

  private constructor(
    private readonly cluster: Cluster,
    private readonly process: LabProcess,
  ) {}

  /** Binds the sockets. The cluster has no front at the moment. */
  static async start(cluster: Cluster, addresses: readonly string[]): Promise<ServiceManager> {
    const argv = ['perl', SCRIPT, notifySocket(cluster), ...addresses, '--', ...frontCommand(cluster)];
    const started = cluster.frontHost.spawn(argv, { stdio: ['pipe', 'pipe', 'pipe'] });
    await started.waitForLine('ready', TIMEOUT_MS);
    return new ServiceManager(cluster, started);
  }

  /** Starts a front with the first `count` of the sockets, all by default; returns at once. */
  async launch(count: number | '' = ''): Promise<LabProgram> {
    this.process.write(`start${count}\n`);
    const line = await this.next(/^started \d+$/);
    return this.cluster.frontHost.succeeded(this.process, Number(line.split(' ')[1]));
  }

  /** Likewise, and makes it the cluster's when it serves and has said so. */
  async startFront(count: number | '' = ''): Promise<void> {
    this.cluster.front = await this.launch(count);
    await this.next(/^notify READY=1$/);
  }

  /** Waits for the end of a process, and returns its exit code, or 128 and the number of the signal. */
  async ended({ pid }: LabProgram): Promise<number> {
    const line = await this.next(new RegExp(`^ended ${pid} \\d+$`));
    return Number(line.split(' ')[2]);
  }

  /** Waits for what a process says by sd_notify(3). */
  async notified(state: string): Promise<void> {
    await this.next(new RegExp(`^notify ${state}$`));
  }

  /** Ends the manager, whose front has ended: the sockets go with it. */
  async stop(): Promise<void> {
    await this.process.stop();
    rmSync(notifySocket(this.cluster));
  }

  /** The next line of the manager's that has not been looked at. */
  private async next(line: RegExp): Promise<string> {
    let seen = 0;
    const found = await this.process.waitForLine((text) => {
      if (!/^(started|notify|ended) /.test(text)) return false;
      return ++seen > this.#read && line.test(text);
    }, TIMEOUT_MS);
    this.#read = seen;
    return found;
  }
}

/** Where a manager hears what its front says. */
function notifySocket(cluster: Cluster): string {
  return join(cluster.lab.dir, 'notify.sock');
}

/** What the manager starts. */
export function frontCommand(cluster: Cluster): readonly string[] {
  return [process.execPath, CLI, 'front', '--config', cluster.frontConfigFile];
}
