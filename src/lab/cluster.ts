/**
 * The real programs in a lab: an agent on every backend host and a front on each front host, run from dist/cli.js.
 *
 *     const cluster = await Cluster.start({ backends: 2, app: '/path/app.mjs' });
 *     try {
 *       await cluster.client.run(['curl', 'http://198.19.0.1/']);
 *       const { flows } = await cluster.frontApi('/v1/status');
 *     } finally {
 *       await cluster.destroy();
 *     }
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { askAdmin, type AdminAnswer, type AdminRequest } from './admin-request';
import { execute } from './execute';
import type { Host } from './host';
import { Lab } from './lab';
import type { LabProcess, LabProgram } from './lab-process';
import { VIP4, VIP6, type LabOptions } from './topology';

/** Keys of a configuration, as in front.yaml and agent.yaml. */
export type Settings = Readonly<Record<string, unknown>>;

export type Program = 'front' | 'agent';

export interface ClusterOptions extends LabOptions {
  /** Module that the agents serve; the agents listen for ordinary connections on port 8080 too. */
  readonly app: string;
  /** Top-level keys that replace those of the default front configuration; a function may use `backend(k)` for them. */
  readonly front?: Settings | ((cluster: Cluster) => Settings);
  /** Likewise for the agent of backend `k` (from 1). */
  readonly agent?: (k: number, cluster: Cluster) => Settings;
  /** What all admin APIs take for a token, in place of the cluster's own. */
  readonly token?: string;
  /** Whether the control channel is secured, with an authority of the cluster's own. */
  readonly tls?: boolean;
  /** Arguments of node for the front. */
  readonly nodeArguments?: readonly string[];
  /** The command of a program in place of `node dist/cli.js PROGRAM --config FILE`; asked at every start. */
  readonly command?: (program: Program, host: Host, config: string) => Promise<readonly string[]>;
  /** Command through which `front` or an agent (`b1`) is started, such as prlimit(1); it has to become the program. */
  readonly through?: (program: string) => readonly string[];
}

const CLI = join(__dirname, '../../dist/cli.js');
const CONTROL_PORT = 7400;
const HTTP_PORT = 8080;
export const FRONT_ADMIN_PORT = 9180;
const AGENT_ADMIN_PORT = 9181;
/** What the front's and the agents' admin APIs take for a token. */
const ADMIN_TOKEN = 'token-of-this-lab';
/** Name of the front, beside the agents b1, b2 and so on. */
const FRONT_NODE = 'front-1';
/** A program starts in a second; on a machine with other things to do, several at once take far longer. */
const START_TIMEOUT_MS = 60_000;
/** Two fronts and all else at once, on a machine that may have one CPU for them. */
const RESTART_TIMEOUT_MS = 60_000;
/** Between two looks at whether a condition holds: a tenth of the time that it has taken so far, within these. */
const [LEAST_POLL_MS, MOST_POLL_MS] = [20, 100];

export interface PostAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, string>>;
}

export class Cluster {
  front!: LabProgram;
  readonly agents: LabProgram[] = [];
  private frontSettings: Settings;

  private constructor(
    readonly lab: Lab,
    readonly options: ClusterOptions,
  ) {
    const { front = {} } = options;
    this.frontSettings = typeof front === 'function' ? front(this) : front;
  }

  /** Returns when the front has a live control channel to every agent and every backend is up. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(await Lab.create(options), options);
    try {
      cluster.writeToken(options.token ?? ADMIN_TOKEN);
      if (options.tls === true) {
        const agents = cluster.lab.backends.flatMap(({ name }) => ['--agent', name]);
        await cluster.makeCertificates(cluster.tlsDir, ['--front', FRONT_NODE, ...agents]);
      }
      cluster.writeFrontConfig(cluster.frontSettings);
      // A front asks again until its agents answer.
      const agents = cluster.lab.backends.map((_, index) => cluster.startAgent(index + 1));
      await Promise.all([...agents, cluster.startFront()]);
      await cluster.allUp();
      return cluster;
    } catch (error) {
      await cluster.destroy();
      throw error;
    }
  }

  get client(): Host {
    return this.first(this.lab.clients);
  }

  get frontHost(): Host {
    return this.first(this.lab.fronts);
  }

  get frontConfigFile(): string {
    return join(this.lab.dir, 'front.yaml');
  }

  /** Holds the token of all admin APIs of the cluster. */
  get tokenFile(): string {
    return join(this.lab.dir, 'admin.token');
  }

  /** Where the certificates are: ca.pem, and NAME.pem with NAME-key.pem for each node. */
  get tlsDir(): string {
    return join(this.lab.dir, 'tls');
  }

  /** Makes certificates in a directory, which gets an authority of its own if it has none. */
  async makeCertificates(directory: string, nodes: readonly string[]): Promise<void> {
    const { code, stderr } = await execute([process.execPath, CLI, 'certs', '--out', directory, ...nodes]);
    if (code !== 0) throw new Error(`make certificates: ${stderr}`);
  }

  /** The files of a node, for `control.tls`. */
  tlsFiles(node: string, directory = this.tlsDir): Record<'ca' | 'cert' | 'key', string> {
    const file = (name: string): string => join(directory, `${name}.pem`);
    return { ca: file('ca'), cert: file(node), key: file(`${node}-key`) };
  }

  /** A backend's entry for a pool, `k` from 1. */
  backend(k: number): Settings {
    const host = this.lab.host(`b${k}`);
    return {
      name: `b${k}`,
      agent: `${host.address4}:${CONTROL_PORT}`,
      via: [host.address4, host.address6],
      http: `${host.address4}:${HTTP_PORT}`,
    };
  }

  /** Writes front.yaml: JSON is YAML too. */
  writeFrontConfig(settings: Settings): void {
    this.frontSettings = settings;
    const config = {
      node: FRONT_NODE,
      listeners: [
        { name: 'web', bind: `${VIP4}:80`, protocol: 'http' },
        { name: 'web6', bind: `[${VIP6}]:80`, protocol: 'http' },
      ],
      routes: [{ pool: 'web' }],
      pools: { web: { backends: this.lab.backends.map((_, index) => this.backend(index + 1)) } },
      steering: { interface: 'eth0', pin: this.lab.pin, max_flows: 65_536 },
      control: this.options.tls === true ? { tls: this.tlsFiles(FRONT_NODE) } : { insecure: true },
      admin: { token_file: this.tokenFile },
      timeouts: { linger: '500ms' },
      ...settings,
    };
    writeFileSync(this.frontConfigFile, JSON.stringify(config, undefined, 2));
  }

  /** Starts the front on the first front host, or again after it ended. */
  async startFront(): Promise<void> {
    this.front = this.frontHost.spawn(await this.command('front', this.frontHost, this.frontConfigFile));
    await this.front.waitForLine('front is serving', START_TIMEOUT_MS);
  }

  /**
   * A planned restart: returns when the front's successor serves, which is `front` from here on, with the one before, on its
   * way out.
   */
  async restartFront(): Promise<LabProgram> {
    const before = this.front;
    before.kill('SIGUSR2');
    const line = await before.waitForLine('the successor is serving', RESTART_TIMEOUT_MS);
    const { successor } = JSON.parse(line) as { successor: number };
    this.front = this.frontHost.succeeded(before, successor);
    await this.front.waitForLine('admin API is listening', START_TIMEOUT_MS);
    return before;
  }

  /** Starts the agent of backend `k` (from 1), or again after it ended. */
  async startAgent(k: number): Promise<LabProcess> {
    const host = this.lab.host(`b${k}`);
    const file = this.writeAgentConfig(k, this.options.agent?.(k, this) ?? {});
    const agent = host.spawn(await this.command('agent', host, file), { env: { BATON_NODE: `b${k}` } });
    this.agents[k - 1] = agent;
    await agent.waitForLine('agent is serving', START_TIMEOUT_MS);
    return agent;
  }

  /** The same for the agent of backend `k` (from 1): its successor is in its place. */
  async restartAgent(k: number): Promise<LabProgram> {
    const before = this.agents[k - 1];
    if (before === undefined) throw new RangeError(`b${k} has no agent`);
    before.kill('SIGUSR2');
    const line = await before.waitForLine('the successor is serving', RESTART_TIMEOUT_MS);
    const { successor } = JSON.parse(line) as { successor: number };
    const after = (this.agents[k - 1] = this.lab.host(`b${k}`).succeeded(before, successor));
    await after.waitForLine('admin API is listening', START_TIMEOUT_MS);
    return before;
  }

  /** Writes the configuration of backend `k`'s agent (from 1) and returns its file. */
  writeAgentConfig(k: number, settings: Settings): string {
    const { address4 } = this.lab.host(`b${k}`);
    const security =
      this.options.tls === true
        ? { tls: { ...this.tlsFiles(`b${k}`), allow: [FRONT_NODE] } }
        : { insecure: true };
    const config = {
      node: `b${k}`,
      control: { listen: `${address4}:${CONTROL_PORT}`, ...security },
      vips: [VIP4, VIP6],
      manage_vips: true,
      serve: { app: this.options.app, listen: `${address4}:${HTTP_PORT}` },
      admin: { token_file: this.tokenFile },
      ...settings,
    };
    const file = join(this.lab.dir, `b${k}.yaml`);
    writeFileSync(file, JSON.stringify(config, undefined, 2));
    return file;
  }

  /** Waits until every backend is up in the front's eyes, accepting threads included. */
  async allUp(): Promise<void> {
    await this.until('all backends up', async () => {
      const { backends } = await this.frontApi<{ backends: { state: string }[] }>('/v1/backends');
      if (!backends.every(({ state }) => state === 'up')) return false;
      const workers = (this.frontSettings.workers as number | undefined) ?? 1;
      const channels = await Promise.all(
        this.lab.backends.map((_, index) => this.agentApi<{ fronts: unknown[] }>(index + 1, '/v1/status')),
      );
      return channels.every(({ fronts }) => fronts.length >= workers + 1);
    });
  }

  /** Waits until a backend is down in the front's eyes, in some pool. */
  async untilDown(backend: string): Promise<void> {
    await this.until(`${backend} down`, async () => {
      const { backends } = await this.frontApi<{ backends: { name: string; state: string }[] }>(
        '/v1/backends',
      );
      return backends.some(({ name, state }) => name === backend && state === 'down');
    });
  }

  /** GET on the front's admin API, from its own host. */
  async frontApi<T>(path: string): Promise<T> {
    return JSON.parse((await this.askFront('GET', path)).body) as T;
  }

  /** GET on the admin API of backend `k`'s agent (from 1). */
  async agentApi<T>(k: number, path: string): Promise<T> {
    return JSON.parse((await this.askAgent(k, 'GET', path)).body) as T;
  }

  /** POST on the front's admin API, of JSON where there is a body. */
  async frontPost(path: string, body?: unknown): Promise<PostAnswer> {
    return parsed(await this.askFront('POST', path, body));
  }

  /** POST on the admin API of backend `k`'s agent (from 1). */
  async agentPost(k: number, path: string): Promise<PostAnswer> {
    return parsed(await this.askAgent(k, 'POST', path));
  }

  /** Writes the file of the admin APIs' token, which all questions here show; who has read the old one still wants that. */
  writeToken(token: string): void {
    writeFileSync(this.tokenFile, `${token}\n`, { mode: 0o600 });
  }

  /** What the front exports, in the Prometheus text format. */
  async frontMetrics(): Promise<string> {
    return (await this.askFront('GET', '/metrics')).body;
  }

  async agentMetrics(k: number): Promise<string> {
    return (await this.askAgent(k, 'GET', '/metrics')).body;
  }

  /** Sum of a metric's series whose labels contain the given ones; 0 where there is none. */
  async frontMetric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    return sumOfSeries(await this.frontMetrics(), name, labels);
  }

  async agentMetric(k: number, name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    return sumOfSeries(await this.agentMetrics(k), name, labels);
  }

  /** Waits until a condition holds; throws with what it was after `timeoutMs`. */
  async until(what: string, condition: () => Promise<boolean>, timeoutMs = START_TIMEOUT_MS): Promise<void> {
    const began = performance.now();
    while (!(await condition())) {
      const waited = performance.now() - began;
      if (waited > timeoutMs) throw new Error(`wait for ${what}: not within ${timeoutMs} ms`);
      await sleep(Math.min(Math.max(waited / 10, LEAST_POLL_MS), MOST_POLL_MS));
    }
  }

  destroy(): Promise<void> {
    return this.lab.destroy();
  }

  private async command(program: Program, host: Host, config: string): Promise<readonly string[]> {
    const { command, through, nodeArguments = [] } = this.options;
    if (command !== undefined) return command(program, host, config);
    const before = through?.(program === 'front' ? program : host.name) ?? [];
    const node = [process.execPath, ...(program === 'front' ? nodeArguments : [])];
    return [...before, ...node, CLI, program, '--config', config];
  }

  private first(hosts: readonly Host[]): Host {
    const [host] = hosts;
    if (host === undefined) throw new RangeError('this lab has no such host');
    return host;
  }

  private askFront(method: AdminRequest['method'], path: string, body?: unknown): Promise<AdminAnswer> {
    const { admin } = this.frontSettings;
    return this.ask(this.frontHost, adminOf(admin, FRONT_ADMIN_PORT), method, path, body);
  }

  private askAgent(k: number, method: AdminRequest['method'], path: string): Promise<AdminAnswer> {
    const { admin } = this.options.agent?.(k, this) ?? {};
    return this.ask(this.lab.host(`b${k}`), adminOf(admin, AGENT_ADMIN_PORT), method, path);
  }

  private ask(
    host: Host,
    at: AdminRequest['at'],
    method: AdminRequest['method'],
    path: string,
    body?: unknown,
  ): Promise<AdminAnswer> {
    const token = readFileSync(this.tokenFile, 'utf8').trim();
    return askAdmin(host, { method, path, token, at, ...(body !== undefined && { body }) });
  }
}

/** Where an admin API is: the socket of its configuration, or the port that it has by default. */
function adminOf(admin: unknown, port: number): AdminRequest['at'] {
  const { listen = '' } = (admin ?? {}) as { listen?: string };
  return listen.startsWith('unix:') ? listen.slice('unix:'.length) : port;
}

function parsed({ status, body }: AdminAnswer): PostAnswer {
  return { status, body: JSON.parse(body) as Record<string, string> };
}

/** Adds up a metric's series whose labels contain the given ones, in the Prometheus text format; 0 where there is none. */
export function sumOfSeries(
  text: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => wanted.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
