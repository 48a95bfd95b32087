import type { RouteConfig } from '../config/model';
import type { Asker, RoutableHead } from '../peek/head';
import { Router, type RouteRule } from '../route/router';
import { answeringOf, type Answering } from './answering';
import { forwardingOf, type Forwarding } from './forwarding';
import type { Pool } from './pool';

/** What becomes of a request: it goes to a pool, or is answered here. */
export type Action = Forwarding | Answering;

interface Route extends Pick<RouteRule, 'match'> {
  readonly action: Action;
}

/** The routes of a configuration, with what they do over an accepting thread's pools. */
export class Routes {
  readonly #router: Router<Route>;

  constructor(routes: readonly RouteConfig[], pools: ReadonlyMap<string, Pool>) {
    this.#router = new Router(
      routes.map((route, index) => ({
        ...(route.match && { match: route.match }),
        action: answeringOf(route) ?? forwardingOf(route, index, pools),
      })),
    );
  }

  /** Undefined where no route takes the request. */
  actionFor(head: RoutableHead, asker: Asker): Action | undefined {
    return this.#router.match(head, asker)?.action;
  }
}
