import { parseAddress, parseEndpoint } from './addresses';
import type { Path, ProblemReport } from './problems';
import type { FrontInput } from './schema';

/** Families of the VIPs, each with a listener that is of it. */
export function listenersByFamily(
  listeners: FrontInput['listeners'],
): ReadonlyMap<number | undefined, string> {
  return new Map(listeners.map(({ name, bind }) => [parseEndpoint(bind)?.family, name]));
}

/** Steering sends a flow's packets to a next hop of the flow's own family: there is one of each that a listener has. */
export function checkVias(
  vias: readonly string[],
  listeners: ReadonlyMap<number | undefined, string>,
  path: Path,
  report: ProblemReport,
): void {
  const families = new Set<number | undefined>();
  vias.forEach((via, index) => {
    const family = parseAddress(via)?.family;
    if (families.has(family)) report.add([...path, index], `a second next hop for IPv${String(family)}`);
    families.add(family);
  });
  for (const [family, listener] of listeners) {
    if (families.has(family)) continue;
    report.add(path, `no IPv${String(family)} next hop, which listener "${listener}" needs`);
  }
}
