import { dirname } from 'node:path';
import type { Program } from '../../src/lab/cluster';
import type { Host } from '../../src/lab/host';
import { Service } from './service';

/** The services of a lab, made when they are first started: the host, and with it what is mounted, outlives a program. */
export class Services {
  readonly #prepared = new Map<string, Promise<Service>>();
  /** Taken away from the next programs that start. */
  without: readonly string[] = [];
  /** What they have in their environment, `NAME=VALUE`. */
  variables: readonly string[] = [];

  of(program: Program, host: Host, directory: string): Promise<Service> {
    const known = this.#prepared.get(host.name) ?? Service.prepare(`baton-${program}`, host, directory);
    this.#prepared.set(host.name, known);
    return known;
  }

  readonly command = async (program: Program, host: Host, config: string): Promise<readonly string[]> => {
    const service = await this.of(program, host, dirname(config));
    service.install(config);
    return service.command([`BATON_NODE=${host.name}`, ...this.variables], this.without);
  };
}
