import { execFileSync } from 'node:child_process';
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

/**
 * Finds the interface that leads to an on-link next hop, by asking the kernel's routing table. Throws an Error that
 * says why an address cannot be a next hop. For start and reload: it runs `ip`.
 */
export function resolveNextHop(via: string): NextHop {
  return hopBy(via, routeTo(via));
}

/** The next hop that a route leads to; throws likewise. */
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

function routeTo(via: string): Route {
  try {
    const output = execFileSync('ip', ['-json', 'route', 'get', via], { encoding: 'utf8', stdio: 'pipe' });
    return (JSON.parse(output) as Route[])[0] ?? {};
  } catch (cause) {
    const said = (cause as { stderr?: string }).stderr?.trim();
    throw new Error(`via ${via}: no route: ${said ?? String(cause)}`, { cause });
  }
}
