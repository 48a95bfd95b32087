import { isIP } from 'node:net';
import { parseAddress, parseEndpoint } from './addresses';
import { parseDuration } from './durations';
import type { DiscoveryConfig } from './model';
import type { Path, ProblemReport } from './problems';
import type { FrontInput } from './schema';
import { checkVias, listenersByFamily } from './vias';

type PoolInput = FrontInput['pools'][string];
type DiscoveryInput = Exclude<PoolInput['backends'], readonly unknown[]>;

/** Where a backend's own address is its next hop. */
export const DIRECT = 'direct';

/** RFC 1035 section 2.3.4, as text and without the final dot. */
const MAX_NAME = 253;
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;

/** More often would be a load on the resolver that no TTL asks for. */
const LEAST_INTERVAL_MS = 100;

/** Whether a text is a name that DNS can be asked for: `api.internal`, `_baton._tcp.api.internal.`, and no address. */
export function isDnsName(text: string): boolean {
  const name = withoutFinalDot(text);
  return name.length <= MAX_NAME && isIP(name) === 0 && name.split('.').every((label) => LABEL.test(label));
}

/** Whether a next hop of discovered backends is well-formed: an address, or `direct`. */
export function isDiscoveredVia(text: string): boolean {
  return text === DIRECT || parseAddress(text) !== undefined;
}

/** A name that begins with a service's label (RFC 2782) has SRV records. */
function asksForServices(dns: string): boolean {
  return dns.startsWith('_');
}

/**
 * What must hold between the keys of a pool's discovery, and between them and the rest.
 * @param needsHttp what makes the pool need an address for HTTP, as it is written.
 */
export function checkDiscovery(
  path: Path,
  { backends: written, balance }: PoolInput,
  listeners: FrontInput['listeners'],
  needsHttp: string | undefined,
  report: ProblemReport,
): void {
  if (Array.isArray(written)) return;
  if (asksForServices(written.dns)) {
    for (const key of ['port', 'weight'] as const) {
      if (written[key] !== undefined) report.add([...path, key], 'comes with each SRV record: leave it out');
    }
  } else if (written.port === undefined) {
    report.add(path, 'key "port" is missing: A and AAAA records have none');
  }
  if (needsHttp !== undefined && written.http_port === undefined)
    report.add(path, `key "http_port" is missing: ${needsHttp} needs it`);
  if (balance === 'maglev' && written.slow_start !== undefined) {
    report.add([...path, 'slow_start'], 'balance maglev has no slow start: it would move keys for a while');
  }
  checkIntervals(path, written, report);
  checkVia(path, written, listeners, report);
}

/** A discovery that passed every check -> what the programs work with. */
export function normaliseDiscovery(written: DiscoveryInput): DiscoveryConfig {
  const { dns, via, resolver, slow_start, min_interval, max_interval, ...rest } = written;
  const hops = [via].flat().flatMap((hop) => parseAddress(hop) ?? []);
  const server = resolver === undefined ? undefined : parseEndpoint(resolver);
  const slowStart = slow_start === undefined ? undefined : parseDuration(slow_start);
  return {
    ...rest,
    dns: withoutFinalDot(dns).toLowerCase(),
    records: asksForServices(dns) ? 'services' : 'addresses',
    ...(hops.length > 0 && { via: hops }),
    ...(server && { resolver: server }),
    ...(slowStart !== undefined && { slow_start: slowStart }),
    min_interval: parseDuration(min_interval) ?? LEAST_INTERVAL_MS,
    max_interval: parseDuration(max_interval) ?? LEAST_INTERVAL_MS,
  };
}

function checkIntervals(
  path: Path,
  { min_interval, max_interval }: DiscoveryInput,
  report: ProblemReport,
): void {
  const least = parseDuration(min_interval) ?? 0;
  const most = parseDuration(max_interval) ?? 0;
  if (least < LEAST_INTERVAL_MS) report.add([...path, 'min_interval'], `is less than ${LEAST_INTERVAL_MS}ms`);
  if (most < least) report.add([...path, 'max_interval'], `is less than min_interval (${min_interval})`);
}

function checkVia(
  path: Path,
  { via }: DiscoveryInput,
  listeners: FrontInput['listeners'],
  report: ProblemReport,
): void {
  const hops = [via].flat();
  if (hops.includes(DIRECT)) {
    if (hops.length > 1) report.add([...path, 'via'], `has "${DIRECT}" beside others: keep one`);
    return;
  }
  checkVias(hops, listenersByFamily(listeners), [...path, 'via'], report);
}

function withoutFinalDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name;
}
