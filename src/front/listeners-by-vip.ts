import type { ListenerConfig } from '../config/model';
import { FLOW_BYTES, makeFlow } from '../kernel/flow';

/** Behind the client's address: the VIP's address and, last, its port. */
const VIP_ADDRESS = 16;
const VIP_PORT = FLOW_BYTES - 2;

/** Tells by its flow to which listener a connection came; a listener on all addresses has those that no other one has. */
export function listenersByVip(listeners: readonly ListenerConfig[]): (flow: Buffer) => string | undefined {
  const names = new Map(listeners.map(({ name, bind }) => [keyOf(bind.host, bind.port), name]));
  return (flow) => {
    const port = flow.readUInt16BE(VIP_PORT);
    const exact = `${flow.toString('latin1', VIP_ADDRESS, VIP_ADDRESS + 16)}${port}`;
    return names.get(exact) ?? names.get(keyOf('0.0.0.0', port)) ?? names.get(keyOf('::', port));
  };
}

function keyOf(host: string, port: number): string {
  const flow = makeFlow(host, 0, host, port);
  return `${flow.toString('latin1', VIP_ADDRESS, VIP_ADDRESS + 16)}${port}`;
}
