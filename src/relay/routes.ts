import type { RouteConfig } from '../config/model';
import type { Asker, RoutableHead } from '../peek/head';
import { Router, type RouteRule } from '../route/router';
import { answeringOf, type Answering } from './answering';
import { forwardingOf, type Chance, type Forwarding, type NamedPool } from './forwarding';

/** What becomes of a request: it goes to a pool, or is answered by whoever reads it. */
export type Action<P extends NamedPool> = Forwarding<P> | Answering;

interface Route<P extends NamedPool> extends Pick<RouteRule, 'match'> {
  readonly action: Action<P>;
}

/** The routes of a configuration, with what they do over the pools of whoever reads them. */
export class Routes<P extends NamedPool> {
  readonly #router: Router<Route<P>>;

  constructor(routes: readonly RouteConfig[], pools: ReadonlyMap<string, P>, chance?: Chance<P>) {
    this.#router = new Router(
      routes.map((route, index) => ({
        ...(route.match && { match: route.match }),
        action: answeringOf(route) ?? forwardingOf(route, index, pools, chance),
      })),
    );
  }

  /** Undefined where no route takes the request. */
  actionFor(head: RoutableHead, asker: Asker): Action<P> | undefined {
    return this.#router.match(head, asker)?.action;
  }
}
