import { parseAddress } from '../kernel/flow';
import { IpError, ipBatch } from '../kernel/ip-batch';
import { ifNameToIndex } from '../kernel/libc';
import type { NextHop } from './flow-table';

interface Route {
  readonly dev?: string;
  readonly gateway?: string;
  readonly via?: unknown;
  readonly type?: string;
}

/**
 * Finds the interfaces that lead to on-link next hops, by asking the kernel's routing table. Throws an Error that says why
 * an address cannot be a next hop. For start and reload: it runs `ip`, once for all.
 */
export function resolveNextHops(vias: Iterable<string>): (via: string) => NextHop {
  const addresses = [...new Set(vias)];
  const routes = routesTo(addresses);
  const hops = new Map(addresses.map((via, index) => [via, nextHop(via, routes[index] ?? {})]));
  return (via) => {
    const hop = hops.get(via);
    if (hop === undefined) throw new RangeError(`${via} was not among the next hops`);
    return hop;
  };
}

function nextHop(via: string, route: Route): NextHop {
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

/** The routes to addresses, in their order. */
function routesTo(addresses: readonly string[]): Route[] {
  try {
    const lines = ipBatch(addresses.map((via) => `route get ${via}`)).split('\n', addresses.length);
    return lines.map((line) => (JSON.parse(line) as Route[])[0] ?? {});
  } catch (cause) {
    if (!(cause instanceof IpError)) throw cause;
    const via = addresses[cause.command] ?? addresses.join(', ');
    throw new Error(`via ${via}: no route: ${cause.said}`, { cause });
  }
}
