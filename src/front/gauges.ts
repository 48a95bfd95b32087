import { droppedLines } from '../observe/log';
import type { Sample } from '../observe/stats';
import type { Steering } from '../steer/steering';
import { expiryOf } from '../wire/identity';
import { BACKEND_STATES } from './backend-state';
import type { Generation } from './generation';

/** How things stand at a scrape; `flows` are entries of the table by backend number. */
export function gaugesOf(
  generation: Generation,
  steering: Steering,
  flows: ReadonlyMap<number, number>,
): Sample[] {
  const { backends, watches, agents, config } = generation;
  const samples: Sample[] = [
    { name: 'flow_capacity', labels: {}, value: steering.flows.capacity },
    { name: 'log_lines_dropped_total', labels: {}, value: droppedLines() },
  ];
  for (const backend of backends) {
    const labels = { pool: backend.pool.name, backend: backend.config.name };
    samples.push({ name: 'backend_up', labels, value: backend.up ? 1 : 0 });
    for (const state of BACKEND_STATES) {
      const value = backend.state === state ? 1 : 0;
      samples.push({ name: 'backend_state', labels: { ...labels, state }, value });
    }
  }
  for (const { panic } of watches) samples.push(panic);
  for (const { backend, connections } of agents) {
    if (connections === undefined) continue;
    samples.push({ name: 'backend_connections', labels: { backend }, value: connections });
  }
  const { node, control } = config;
  if (control.tls !== undefined) {
    const value = expiryOf(control.tls.pem.cert);
    samples.push({ name: 'certificate_expiry_timestamp_seconds', labels: { node }, value });
  }
  // A backend of several pools is one to steering.
  for (const [number, backend] of new Map(backends.map(({ number, config: { name } }) => [number, name]))) {
    const totals = steering.backends.totals(number);
    const labels = { backend };
    samples.push({ name: 'flows', labels, value: flows.get(number) ?? 0 });
    samples.push({ name: 'steered_packets_total', labels, value: totals.packets });
    samples.push({ name: 'steered_bytes_total', labels, value: totals.bytes });
  }
  return samples;
}
