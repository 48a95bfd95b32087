import { isMapped } from '../kernel/flow';

const ADDRESS_BYTES = 16;
const VIP = 16;
const CLIENT_PORT = 32;
const VIP_PORT = 34;

/**
 * Why no connection between a client and a VIP can have the addresses and ports of a flow; undefined where one can. A
 * front that accepted a connection never sees these: the kernel drops such packets.
 */
export function impossibleFlow(flow: Buffer, offset: number): string | undefined {
  const client = kindOf(flow, offset);
  const vip = kindOf(flow, offset + VIP);
  if (isMapped(flow, offset) !== isMapped(flow, offset + VIP)) return 'addresses of different families';
  if (flow.readUInt16BE(offset + CLIENT_PORT) === 0 || flow.readUInt16BE(offset + VIP_PORT) === 0)
    return 'port 0';
  for (const kind of [client, vip]) {
    if (kind !== 'unicast' && kind !== 'loopback') return `${kind} address`;
  }
  if (client !== vip) return 'loopback on one side alone';
  const toItself =
    flow.compare(flow, offset + VIP, offset + VIP + ADDRESS_BYTES, offset, offset + ADDRESS_BYTES) === 0 &&
    flow.readUInt16BE(offset + CLIENT_PORT) === flow.readUInt16BE(offset + VIP_PORT);
  return toItself ? 'a connection with itself' : undefined;
}

/** The ranges of RFC 6890, as far as TCP does not go there; link-local IPv6 needs an interface, which a flow has not. */
function kindOf(bytes: Buffer, at: number): string {
  return isMapped(bytes, at) ? kindOf4(bytes.readUInt32BE(at + 12)) : kindOf6(bytes, at);
}

function kindOf4(address: number): string {
  const first = address >>> 24;
  if (first === 0) return 'unspecified';
  if (first === 127) return 'loopback';
  if (address === 0xffffffff) return 'broadcast';
  return first >= 224 && first < 240 ? 'multicast' : 'unicast';
}

function kindOf6(bytes: Buffer, at: number): string {
  const first = bytes.readUInt16BE(at);
  if ((first & 0xff00) === 0xff00) return 'multicast';
  if ((first & 0xffc0) === 0xfe80) return 'link-local';
  const zero = bytes.subarray(at, at + ADDRESS_BYTES - 1).every((octet) => octet === 0);
  if (!zero) return 'unicast';
  const last = bytes[at + ADDRESS_BYTES - 1];
  return last === 0 ? 'unspecified' : last === 1 ? 'loopback' : 'unicast';
}
