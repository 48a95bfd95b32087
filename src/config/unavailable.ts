import type { ProblemReport } from './problems';
import type { AgentInput, FrontInput } from './schema';

/**
 * What the schema has and this version does not: one line each, to be removed when the feature lands. A configuration
 * that asks for one of these must not load, because it would run without what its operator relies on.
 */

const PROTOCOLS = new Set<string>(['tls', 'tcp']);
const POLICIES = new Set<string>(['least-connections', 'random-two', 'maglev']);

export function reportUnavailableInFront(input: FrontInput, report: ProblemReport): void {
  reportTls(input, report);
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

export function reportUnavailableInAgent(input: AgentInput, report: ProblemReport): void {
  reportTls(input, report);
}

function reportTls({ control }: FrontInput | AgentInput, report: ProblemReport): void {
  if (!control.tls || control.insecure) return; // With both, which of them is meant has to be settled first.
  const advice = 'use control.insecure: true on a trusted network';
  report.addBare(['control', 'tls'], 'key', `${notAvailable('control.tls')}: ${advice}`);
}

function notAvailable(what: string): string {
  return `${what} is not available in this version`;
}
