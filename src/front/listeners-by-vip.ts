import type { ListenerConfig } from '../config/model';
import { flowFamily, makeFlow, vipKey, vipPort } from '../kernel/flow';

/** Tells by its flow to which listener a connection came; a listener on all addresses has those that no other one has. */
export function listenersByVip(listeners: readonly ListenerConfig[]): (flow: Buffer) => string | undefined {
  const names = new Map(listeners.map(({ name, bind }) => [keyOf(bind.host, bind.port), name]));
  return (flow) =>
    names.get(vipKey(flow)) ?? names.get(keyOf(flowFamily(flow) === 4 ? '0.0.0.0' : '::', vipPort(flow)));
}

function keyOf(host: string, port: number): string {
  return vipKey(makeFlow(host, 0, host, port));
}
