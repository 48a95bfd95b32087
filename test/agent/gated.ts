import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { Detours } from '../../src/agent/detour';
import { FrontRules, type ChannelRules } from '../../src/agent/front-rules';
import { Inlet, RequestGate, type GateParts } from '../../src/agent/request-gate';
import type { RouteConfig } from '../../src/config/model';
import { must } from '../../src/kernel/errors';
import {
  flowClientFromSockaddr,
  FLOW_BYTES,
  flowVipFromSockaddr,
  SOCKADDR_BYTES,
} from '../../src/kernel/flow';
import { close } from '../../src/kernel/libc';
import { socketOn } from '../../src/kernel/node-socket';
import { accept, listenOn, localAddress } from '../../src/kernel/socket';
import { encodeRoutes, encodeRoutingTable, type RoutingTable } from '../../src/wire/routing-table';
import { portOf, until } from '../kernel/pair';

const pool = (name: string, here: boolean, backends: RoutingTable['pools'][0]['backends'] = []) =>
  ({ name, here, fallback: 'proxy', backends }) as const;

/** /a is here, /b is not, and /e is here with another head. */
export const TABLE: RoutingTable = {
  self: 'b1',
  head_bytes: 16_384,
  listeners: [{ name: 'web', address: '127.0.0.1', port: 80, routing: 'per-request' }],
  pools: [pool('a', true, [{ name: 'b1', weight: 1 }]), pool('b', false)],
  routes: [
    { match: { path_prefix: ['/a'] }, pool: 'a' },
    {
      match: { path_prefix: ['/e'] },
      pool: 'a',
      edits: { set: [['X-Edit', 'yes']], remove: ['x-gone'], strip_prefix: '/e' },
    },
    { match: { path: ['/said'] }, respond: { status: 200, headers: {}, body: 'said so' } },
    { match: { path: ['/no'] }, deny: { status: 403 } },
    { match: { path_prefix: ['/b'] }, pool: 'b' },
  ] satisfies RouteConfig[],
};

export function tableText(table: RoutingTable): string {
  const text = encodeRoutingTable(table, encodeRoutes(table.routes));
  if (text === undefined) throw new Error('table is too long');
  return text;
}

export function rulesOf(table: RoutingTable, fronts = new FrontRules()): ChannelRules {
  return fronts.open('f1', Buffer.from(tableText(table)));
}

export interface GatedOptions extends Partial<Pick<GateParts, 'handBack' | 'headMs'>> {
  readonly rules?: ChannelRules;
  readonly routed?: boolean;
  /** Octets that another process has read: given any, and be it none of them, the gate reads from the beginning. */
  readonly held?: string;
  readonly detours?: Detours;
}

const open: (() => void)[] = [];
const made = new WeakMap<Server, WeakMap<Socket, RequestGate>>();

/** Whether gates read from the beginning, in place of the server's parser. */
let gateReads = false;

/** Says who reads the connections that are opened from here on, until something comes that the server's parser cannot have. */
export function readByGate(gates: boolean): void {
  gateReads = gates;
}

/** Ends all that was opened here. */
export function closeAll(): void {
  for (const each of open.splice(0).reverse()) each();
}

/** What an agent does for its server. */
function gatesOf(server: Server): WeakMap<Socket, RequestGate> {
  const known = made.get(server);
  if (known !== undefined) return known;
  const gates = new WeakMap<Socket, RequestGate>();
  made.set(server, gates);
  server.on('connection', (socket: Socket) => gates.get(socket)?.attached());
  server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    const gate = gates.get(socket);
    gate?.followed(response);
    response.once('close', () => gate?.answered(response));
  });
  return gates;
}

/** A client, and the socket that a server was given for it, with a gate in front. */
export class Gated {
  received = '';
  /** How the connection ended for the client: FIN, or the code of an error. */
  readonly end: Promise<string>;
  readonly gone: Promise<unknown>;

  private constructor(
    readonly client: Socket,
    readonly socket: Socket,
    readonly gate: RequestGate,
  ) {
    client.setNoDelay(true);
    client.on('data', (octets: Buffer) => (this.received += octets.toString('latin1')));
    this.end = new Promise((resolve) => {
      client.once('end', () => resolve('FIN'));
      client.once('error', ({ code = '' }: NodeJS.ErrnoException) => resolve(code));
    });
    this.gone = new Promise((resolve) => socket.once('close', resolve));
  }

  static async by(server: Server, options: GatedOptions = {}): Promise<Gated> {
    const listener = listenOn({ host: '127.0.0.1', port: 0, backlog: 8, deferAccept: 0 });
    const client = connect({ port: portOf(listener), host: '127.0.0.1', allowHalfOpen: true });
    await once(client, 'connect');
    const address = Buffer.alloc(SOCKADDR_BYTES);
    const fd = must(accept(listener, address), 'accept');
    const flow = Buffer.alloc(FLOW_BYTES);
    flowClientFromSockaddr(address, flow);
    must(localAddress(fd, address), 'getsockname');
    flowVipFromSockaddr(address, flow);
    close(listener);
    const detours = options.detours ?? new Detours(server.keepAliveTimeout);
    const inlet = new Inlet(options.rules ?? rulesOf(TABLE), options.routed === true);
    const socket = socketOn(fd, inlet.read);
    socket.setNoDelay(true);
    const { headMs, handBack = () => false } = options;
    const gate = new RequestGate(socket, inlet, {
      server,
      detours,
      flow,
      handBack,
      ...(headMs !== undefined && { headMs }),
    });
    inlet.gate = gate;
    gatesOf(server).set(socket, gate);
    open.push(() => {
      client.destroy();
      socket.destroy();
      if (options.detours === undefined) void detours.close();
    });
    const gated = new Gated(client, socket, gate);
    server.emit('connection', socket);
    const held = options.held ?? (gateReads ? '' : undefined);
    if (held !== undefined) gate.read(held.length, Buffer.from(held, 'latin1'));
    return gated;
  }

  send(text: string | Buffer): void {
    this.client.write(text, 'latin1');
  }

  /** Until the client has this many answers, told by their status lines. */
  async answers(count: number): Promise<string[]> {
    await until(() => this.statuses.length >= count);
    return this.statuses;
  }

  get statuses(): string[] {
    return [...this.received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status = '']) => status);
  }
}
