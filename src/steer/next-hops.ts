import { spawnSync } from 'node:child_process';
import type { NextHop } from './flow-table';
import { hopBy, resolveNextHop, type Route } from './next-hop';

/** How long what cannot be a next hop is not asked for again: those that ask do so every second. */
const FAILURE_MS = 10_000;
/** Backends that the flow table can know (layout.MAX_BACKENDS), in both families. */
const MOST = 8192;
/** What `ip` says of a command of its input that failed, behind the reason. */
const FAILED = /^(.*)\nCommand failed -:(\d+)$/gm;

/** Next hops by their addresses, each asked for once. */
export class NextHops {
  readonly #known = new Map<string, NextHop>();
  readonly #failed = new Map<string, { readonly cause: string; readonly at: number }>();

  /** Throws an Error that says why an address cannot be a next hop. */
  of(via: string): NextHop {
    const known = this.#known.get(via);
    if (known !== undefined) return known;
    const hop = resolveNextHop(via);
    this.#remember(via, hop);
    return hop;
  }

  /** Why an address cannot be a next hop, or could not a moment ago; undefined where it can. */
  objection(via: string): string | undefined {
    if (this.#known.has(via)) return undefined;
    const failed = this.#failed.get(via);
    if (failed === undefined || this.#isOld(failed)) this.ask([via]);
    return this.#failed.get(via)?.cause;
  }

  /**
   * Asks for many at once, those left out that are known: `ip` takes milliseconds to start, so that a thousand would take
   * seconds. Throws an Error where it does not run.
   */
  ask(vias: Iterable<string>): void {
    const wanted = [...new Set(vias)].filter((via) => {
      const failed = this.#failed.get(via);
      return !this.#known.has(via) && (failed === undefined || this.#isOld(failed));
    });
    if (wanted.length === 0) return;
    const { routes, errors } = routesTo(wanted);
    wanted.forEach((via, index) => {
      try {
        const route = routes.get(via);
        if (route === undefined)
          throw new Error(`via ${via}: no route: ${errors.get(index + 1) ?? 'unknown'}`);
        this.#remember(via, hopBy(via, route));
      } catch (error) {
        if (this.#failed.size >= MOST) this.#failed.clear();
        this.#failed.set(via, { cause: (error as Error).message, at: performance.now() });
      }
    });
  }

  #remember(via: string, hop: NextHop): void {
    if (this.#known.size >= MOST) this.#known.clear();
    this.#failed.delete(via);
    this.#known.set(via, hop);
  }

  #isOld({ at }: { readonly at: number }): boolean {
    return performance.now() - at > FAILURE_MS;
  }
}

/** By address, and by the number of the question, from 1, where there is none. */
function routesTo(vias: readonly string[]): {
  readonly routes: ReadonlyMap<string, Route>;
  readonly errors: ReadonlyMap<number, string>;
} {
  const input = vias.map((via) => `route get ${via}\n`).join('');
  const { error, stdout, stderr } = spawnSync('ip', ['-json', '-force', '-batch', '-'], {
    encoding: 'utf8',
    input,
    maxBuffer: 1024 * vias.length + 65_536,
  });
  if (error !== undefined)
    throw new Error(`next hops: ${error.message} (is iproute2 installed?)`, { cause: error });
  // A line of output for each route, and nothing where there is none.
  const found = stdout.split('\n').flatMap((line) => (line === '' ? [] : (JSON.parse(line) as Route[])));
  const errors = [...stderr.matchAll(FAILED)].map(([, reason = '', at]) => [Number(at), reason] as const);
  return {
    routes: new Map(found.map((route) => [route.dst ?? '', route])),
    errors: new Map(errors),
  };
}
