import { ipEach } from '../kernel/ip-batch';
import type { NextHop } from './flow-table';
import { hopBy, type Route } from './next-hop';

/** How long what cannot be a next hop is not asked for again: those that ask do so every second. */
const FAILURE_MS = 10_000;
/** Backends that the flow table can know (layout.MAX_BACKENDS), in both families. */
const MOST = 8192;

/** Next hops by their addresses, each asked for once. */
export class NextHops {
  readonly #known = new Map<string, NextHop>();
  readonly #failed = new Map<string, { readonly cause: string; readonly at: number }>();

  /** Throws an Error that says why an address cannot be a next hop. */
  of(via: string): NextHop {
    const objection = this.objection(via);
    const hop = this.#known.get(via);
    if (hop === undefined) throw new Error(objection ?? `via ${via}: no route`);
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
    const { routes, refused } = routesTo(wanted);
    wanted.forEach((via, index) => {
      try {
        const route = routes.get(via);
        if (route === undefined) throw new Error(`via ${via}: no route: ${refused.get(index) ?? 'unknown'}`);
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

/** Routes by address, and why there is none by the place of the question. */
function routesTo(vias: readonly string[]): {
  readonly routes: ReadonlyMap<string, Route>;
  readonly refused: ReadonlyMap<number, string>;
} {
  const { output, refused } = ipEach(vias.map((via) => `route get ${via}`));
  // A line for each route, and nothing where there is none.
  const found = output.split('\n').flatMap((line) => (line === '' ? [] : (JSON.parse(line) as Route[])));
  return { routes: new Map(found.map((route) => [route.dst ?? '', route])), refused };
}
