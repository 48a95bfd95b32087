import { parseAddress } from '../kernel/flow';
import { ifNameToIndex } from '../kernel/libc';
import type { NextHop } from './flow-table';

/** What `ip -json route get` prints. */
export interface Route {
  readonly dst?: string;
  readonly dev?: string;
  readonly gateway?: string;
  readonly via?: unknown;
  readonly type?: string;
}

/** The on-link next hop that a route leads to; throws an Error that says why it is none. */
export function hopBy(via: string, route: Route): NextHop {
  if (route.gateway !== undefined || route.via !== undefined) {
    throw new Error(
      `via ${via}: not on-link, the route to it leads through another gateway: name that one as via`,
    );
  }
  if (route.type === 'local' || route.dev === undefined || route.dev === 'lo') {
    throw new Error(`via ${via}: is an address of this host, not a neighbour`);
  }
  const ifindex = ifNameToIndex(route.dev);
  if (ifindex === 0) throw new Error(`via ${via}: interface ${route.dev} is gone`);
  return { address: parseAddress(via), ifindex };
}
