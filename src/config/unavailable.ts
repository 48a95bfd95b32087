import type { ProblemReport } from './problems';
import type { FrontInput } from './schema';

/**
 * What the schema has and this version does not: one line each, to be removed when the feature lands. A configuration
 * that asks for one of these must not load, because it would run without what its operator relies on.
 */

const PROTOCOLS = new Set<string>(['tls', 'tcp']);
const POLICIES = new Set<string>(['least-connections', 'random-two']);

export function reportUnavailableInFront(input: FrontInput, report: ProblemReport): void {
  input.listeners.forEach(({ protocol }, index) => {
    if (PROTOCOLS.has(protocol)) {
      report.addBare(['listeners', index, 'protocol'], 'value', notAvailable(`protocol ${protocol}`));
    }
  });
  for (const [name, { balance }] of Object.entries(input.pools)) {
    if (POLICIES.has(balance)) {
      report.addBare(['pools', name, 'balance'], 'value', notAvailable(`balance ${balance}`));
    }
  }
}

function notAvailable(what: string): string {
  return `${what} is not available in this version`;
}
