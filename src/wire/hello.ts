import { isIP } from 'node:net';
import { MAX_TEXT_BYTES, PROTOCOL_VERSION, ProtocolError } from './frames';

/**
 * What each side says first. A front's accepting threads offer connections (`offers`); its keeper is told of live and
 * closed flows and never offers (`keeper`).
 */
export interface FrontHello {
  readonly role: 'offers' | 'keeper';
  readonly node: string;
  /** It wants a REPORT whenever something has changed, but not more often than every so many milliseconds. */
  readonly reportMs?: number;
}

export interface AgentHello {
  readonly node: string;
  readonly vips: readonly string[];
  /** Offers that may be under way at once on one channel. */
  readonly offers: number;
  /** It wants to know of every COMMIT what the front knows of its handoff. */
  readonly details?: true;
  /** It judges later requests of connections by the table of a ROUTES frame. */
  readonly judges?: true;
}

const NAME = /^[A-Za-z0-9._-]{1,64}$/;
/** More offers at once than this would wait for each other longer than any prepare timeout. */
const MOST_OFFERS = 65_536;
const MOST_VIPS = 1024;
/** More reports than one in this time would tell nobody more. */
const SHORTEST_REPORT_MS = 50;
const LONGEST_REPORT_MS = 60_000;

export function encodeFrontHello(hello: FrontHello): string {
  return JSON.stringify({ baton: [PROTOCOL_VERSION], ...hello });
}

export function encodeAgentHello(hello: AgentHello): string {
  return JSON.stringify({ baton: [PROTOCOL_VERSION], ...hello });
}

/** Throws a ProtocolError that says what is wrong with it. */
export function decodeFrontHello(text: string): FrontHello {
  const fields = decode(text);
  const role = fields.role;
  if (role !== 'offers' && role !== 'keeper')
    throw new ProtocolError('hello: role is neither offers nor keeper');
  return { role, node: nameOf(fields), ...reportInterval(fields) };
}

/** Throws a ProtocolError that says what is wrong with it. */
export function decodeAgentHello(text: string): AgentHello {
  const fields = decode(text);
  const { vips, offers } = fields;
  if (!Array.isArray(vips) || vips.length > MOST_VIPS || !vips.every(isAddress)) {
    throw new ProtocolError('hello: vips is not a list of addresses');
  }
  if (typeof offers !== 'number' || !Number.isInteger(offers) || offers < 1 || offers > MOST_OFFERS) {
    throw new ProtocolError('hello: offers is not a number of offers');
  }
  return { node: nameOf(fields), vips, offers, ...wish(fields, 'details'), ...wish(fields, 'judges') };
}

function reportInterval({ reportMs }: Record<string, unknown>): Pick<FrontHello, 'reportMs'> {
  if (reportMs === undefined) return {};
  if (typeof reportMs !== 'number' || !(reportMs >= SHORTEST_REPORT_MS && reportMs <= LONGEST_REPORT_MS))
    throw new ProtocolError('hello: reportMs is not a time between reports');
  return { reportMs };
}

function wish<K extends 'details' | 'judges'>(fields: Record<string, unknown>, key: K): { [P in K]?: true } {
  if (fields[key] === undefined) return {};
  if (fields[key] !== true) throw new ProtocolError(`hello: ${key} is not true`);
  return { [key]: true } as { [P in K]?: true };
}

function isAddress(value: unknown): value is string {
  return typeof value === 'string' && isIP(value) !== 0;
}

function nameOf(fields: Record<string, unknown>): string {
  if (typeof fields.node !== 'string' || !NAME.test(fields.node))
    throw new ProtocolError('hello: node is not a name');
  return fields.node;
}

function decode(text: string): Record<string, unknown> {
  if (text.length > MAX_TEXT_BYTES) throw new ProtocolError('hello: too long');
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch {
    throw new ProtocolError('hello: not JSON');
  }
  if (typeof fields !== 'object' || fields === null) throw new ProtocolError('hello: not an object');
  const { baton: versions } = fields as Record<string, unknown>;
  if (!Array.isArray(versions) || !versions.includes(PROTOCOL_VERSION)) {
    throw new ProtocolError(`hello: no common version, this side speaks ${PROTOCOL_VERSION}`);
  }
  return fields as Record<string, unknown>;
}
