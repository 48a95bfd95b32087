import type { ProblemReport } from './problems';
import type { FrontInput } from './schema';

/**
 * What the schema has and this version does not: one line each, to be removed when the feature lands. A configuration
 * that asks for one of these must not load, because it would run without what its operator relies on.
 */

const PROTOCOLS = new Set<string>(['tls']);

export function reportUnavailableInFront(input: FrontInput, report: ProblemReport): void {
  input.listeners.forEach(({ protocol }, index) => {
    if (PROTOCOLS.has(protocol)) {
      report.addBare(['listeners', index, 'protocol'], 'value', notAvailable(`protocol ${protocol}`));
    }
  });
}

function notAvailable(what: string): string {
  return `${what} is not available in this version`;
}
