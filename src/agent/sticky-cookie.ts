import type { IncomingMessage, OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { cookiesOf } from '../peek/cookies';

type GivenHeaders = OutgoingHttpHeaders | OutgoingHttpHeader[] | undefined;

/**
 * The cookie that tells fronts which backend a session belongs to (`sticky` of a pool): set on the response to a client that
 * has none, or that of another backend, which was away then.
 */
export class StickyCookie {
  private readonly field: string;
  private readonly seen = new WeakSet<ServerResponse>();

  /** @param node name of this backend. */
  constructor(
    private readonly name: string,
    private readonly node: string,
  ) {
    // No script has any use for it, and no other site's request.
    this.field = `${name}=${node}; Path=/; HttpOnly; SameSite=Lax`;
  }

  /** Has to see the response before the application does, which may write its head at once. */
  add(request: IncomingMessage, response: ServerResponse): void {
    for (const [name, value] of cookiesOf(request.headers.cookie ?? '')) {
      if (name === this.name && value === this.node) return;
    }
    // An application may pass a request with Expect on to its usual listeners.
    if (this.seen.has(response)) return;
    this.seen.add(response);
    const writeHead = response.writeHead.bind(response);
    // Every head passes here, also one that the application leaves to Node (ServerResponse._implicitHeader).
    response.writeHead = (status: number, ...rest: unknown[]): ServerResponse => {
      response.writeHead = writeHead;
      const [reason, given] = typeof rest[0] === 'string' ? rest : [undefined, rest[1] ?? rest[0]];
      const headers = this.withField(response, given as GivenHeaders);
      return reason === undefined
        ? response.writeHead(status, headers)
        : response.writeHead(status, reason as string, headers);
    };
  }

  /** Headers that are given with the head replace those of the same name that were set before, so these go with them. */
  private withField(response: ServerResponse, given: GivenHeaders): GivenHeaders {
    const before = [response.getHeader('set-cookie') ?? []].flat().map(String);
    if (Array.isArray(given)) {
      const fields = [...before, this.field].map((field) => ['Set-Cookie', field]);
      // Node takes a flat list of names and values, and one of pairs.
      return [...given, ...(Array.isArray(given[0]) ? (fields as OutgoingHttpHeader[]) : fields.flat())];
    }
    const own = Object.entries(given ?? {}).filter(([name]) => name.toLowerCase() === 'set-cookie');
    const others = Object.entries(given ?? {}).filter(([name]) => name.toLowerCase() !== 'set-cookie');
    const fields = own.length > 0 ? own.flatMap(([, value]) => [value ?? []].flat().map(String)) : before;
    return { ...Object.fromEntries(others), 'Set-Cookie': [...fields, this.field] };
  }
}
