import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isIP } from 'node:net';
import type { Logger } from 'pino';
import { isPrivate } from '../config/admin';
import type { AdminConfig } from '../config/model';
import { AdminToken } from './admin-token';
import { LogThrottle } from './log-throttle';

/** Answer "up" or "ready" and nothing else, so they may stay open for probes that cannot carry a secret. */
const PROBES: readonly string[] = ['/healthz', '/readyz'];
const READING: readonly string[] = ['GET', 'HEAD'];

/** Why a request is refused; the answer says what would help. */
interface Refusal {
  readonly status: 401 | 403;
  readonly error: string;
}

/**
 * Who may ask the admin API what:
 *
 *                              listens on loopback      on a Unix socket     on any other address
 *     GET /healthz, /readyz    anybody                  anybody              anybody
 *     any other GET            anybody, no browser      anybody              the token
 *     anything but GET         the token                the token            the token
 *
 * "Anybody" is who reaches it: every user of this host, or whom the mode of the socket lets in. Loopback is also reached
 * by the pages that a browser on this host shows: a page can send a request there, and by DNS rebinding even read the
 * answer, but cannot help telling where it comes from (Host, Origin). Whoever shows the token may come from anywhere.
 */
export class AdminAccess {
  #token: AdminToken | undefined;
  readonly #throttle = new LogThrottle();

  /** Reads the token file, if there is one; throws an Error that says what is wrong with it. */
  constructor(
    private readonly config: AdminConfig,
    private readonly logger: Logger,
  ) {
    this.#token = readToken(config);
  }

  /** The commit of a reload whose `readToken` has succeeded: from now on the old token is void. */
  useToken(token: AdminToken | undefined): void {
    this.#token = token;
  }

  /** Checks every request before anything else is done for it. */
  guard(app: FastifyInstance): void {
    app.addHook('onRequest', (request, reply, done) => {
      const refusal = this.#refusalOf(request);
      if (refusal === undefined) done();
      else this.#refuse(refusal, request, reply);
    });
  }

  #refusalOf(request: FastifyRequest): Refusal | undefined {
    const { authorization, host, origin } = request.headers;
    if (this.#token?.isIn(authorization) === true) return undefined;
    const { listen } = this.config;
    if (!('socket' in listen) && isPrivate(listen)) {
      const foreign = foreignPart(host, origin);
      if (foreign !== undefined)
        return { status: 403, error: `${foreign}: this API is no place for browsers` };
    }
    const reads = READING.includes(request.method);
    if (reads && (isPrivate(listen) || PROBES.includes(pathOf(request)))) return undefined;
    if (this.#token !== undefined) {
      const cause = authorization === undefined ? 'has no token' : 'does not have the right token';
      return {
        status: 401,
        error: `the request ${cause}: send "Authorization: Bearer TOKEN" with the one in admin.token_file`,
      };
    }
    // An address of the network without a token does not pass the check of the configuration.
    return {
      status: 403,
      error: `${request.method} needs a token: set admin.token_file; to reload without one, send SIGHUP`,
    };
  }

  #refuse({ status, error }: Refusal, request: FastifyRequest, reply: FastifyReply): void {
    if (this.#throttle.allows(String(status))) {
      const { remoteAddress: peer = 'unix socket' } = request.socket;
      const about = { peer, method: request.method, path: pathOf(request), status, cause: error };
      this.logger.warn(about, 'admin request refused');
    }
    if (status === 401) void reply.header('www-authenticate', 'Bearer realm="baton"');
    // What else the client has to say is not worth reading.
    void reply.code(status).header('connection', 'close').send({ error });
  }
}

/** The token of a configuration; throws an Error that says what is wrong with its file. */
export function readToken({ token_file }: AdminConfig): AdminToken | undefined {
  return token_file === undefined ? undefined : AdminToken.read(token_file);
}

/** Without the query, in which somebody may have written a secret. */
function pathOf({ url }: FastifyRequest): string {
  return url.split('?', 1)[0] ?? '';
}

/**
 * What of a request shows that a web page sent it. A page that had its own name resolve to 127.0.0.1 is betrayed by that
 * name in Host; addresses cannot be rebound, and `localhost` is no name that anybody could own (RFC 6761 section 6.3).
 * A program without a Host, as HTTP/1.0 allows, is no browser.
 */
function foreignPart(host: string | undefined, origin: string | undefined): string | undefined {
  if (host !== undefined && !isOwnHost(host)) return 'foreign Host';
  // Case matters to neither scheme nor host (RFC 6454 section 4), and a browser writes both in lower case.
  return origin === undefined || origin === `http://${host ?? ''}` ? undefined : 'foreign Origin';
}

function isOwnHost(host: string): boolean {
  const [, bracketed, plain = ''] = /^(?:\[(.*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? [];
  if (bracketed !== undefined) return isIP(bracketed) === 6;
  return isIP(plain) === 4 || plain.toLowerCase() === 'localhost';
}
