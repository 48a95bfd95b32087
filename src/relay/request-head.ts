import type { IncomingMessage } from 'node:http';
import { parseAddress } from '../kernel/flow';
import { separatorOf, type Asker, type RoutableHead } from '../peek/head';
import { valuesOf } from './fields';

/** A request that Node has parsed, as routing reads heads: for connections that the front relays. */
export class RequestHead implements RoutableHead, Asker {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly query: string;

  constructor(
    private readonly request: IncomingMessage,
    readonly listener: string,
  ) {
    this.method = request.method ?? '';
    const target = request.url ?? '';
    const absolute = /^https?:\/\/([^/?#]*)(.*)$/i.exec(target);
    this.host = hostOf(absolute?.[1] ?? request.headers.host ?? '');
    const rest = absolute === null ? target : (absolute[2] ?? '');
    const question = rest.indexOf('?');
    this.path = (question < 0 ? rest : rest.slice(0, question)) || '/';
    this.query = question < 0 ? '' : rest.slice(question + 1);
  }

  /** Its client's address, 16 bytes; all zero where the connection is gone. */
  get client(): Buffer {
    // Without the zone that a link-local address has (`fe80::1%eth0`).
    return parseAddress((this.request.socket.remoteAddress ?? '::').replace(/%.*$/, ''));
  }

  header(lowerCaseName: string): string | undefined {
    // Not `headersDistinct`, which throws at a field named `__proto__` in some releases of Node.
    const values = valuesOf(this.request.rawHeaders, lowerCaseName);
    return values.length === 0 ? undefined : values.join(separatorOf(lowerCaseName));
  }
}

/** The host of an authority, as Http1Peek gives it: lower case, no port, no brackets. */
function hostOf(authority: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(authority);
  return (bracketed?.[1] ?? authority.replace(/:\d*$/, '')).toLowerCase();
}
