/**
 * Node's parser of a server's connection, which reads from the descriptor past JavaScript: what there is no documented way for, in
 * this file only. It is what there has been of it since Node 18 (lib/_http_server.js, src/node_http_parser.cc).
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

interface ParserClass {
  readonly REQUEST: number;
  readonly kOnExecute: number;
  readonly kLenientNone: number;
}

type OnExecute = (result: number | ParserError) => void;

interface ParserError extends Error {
  readonly code?: string;
  readonly reason?: string;
}

interface Parser {
  readonly constructor: ParserClass;
  /** It reads from the descriptor itself. */
  readonly _consumed?: boolean;
  /** How many names and values of fields it keeps of a head; 0 for all of them. */
  readonly maxHeaderPairs: number;
  incoming: IncomingMessage | null;
  onIncoming: (request: IncomingMessage, keepAlive: boolean) => number;
  /** At `kOnExecute`: what it has read is parsed. */
  [callback: number]: OnExecute;
  /** A copy of what it has just read. */
  getCurrentBuffer?(): Buffer;
  duration?(): number;
  remove(): void;
  initialize(type: number, resource: object, maxHeaderSize: number, lenient: number, list: unknown): void;
}

/** What an http.Server was made with. */
interface ParsingServer extends Server {
  readonly maxHeaderSize?: number;
  readonly insecureHTTPParser?: boolean;
}

/** What it keeps at a socket. */
interface ServedSocket {
  readonly parser?: Parser | null;
  readonly _httpMessage?: ServerResponse | null;
}

/** What has a parser stop behind a head, as if another protocol followed. */
const STOP = 2;
const NOTHING = Buffer.alloc(0);
const LENIENT_BY_OPTION = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].some((options) =>
  /--insecure[-_]http[-_]parser/.test(options),
);
/** Description of the symbol under which a server keeps them. */
const CONNECTIONS = 'http.server.connections';

export interface ParserWatch {
  /** Shown each head before the server sees it; false keeps from the server the request and all that follows. */
  readonly passes: (request: IncomingMessage, keepAlive: boolean) => boolean;
  /**
   * The octets from the beginning of a request that did not pass, its head as the parser has understood it, as far as they have
   * been read. Whoever is told takes the reading (`takeReading`); before the server gets something, `renew` has to be called.
   */
  readonly stopped: (octets: Buffer, renew: () => void) => void;
  /** A request did not pass where somebody else has begun to read the socket: what follows its head is lost. */
  readonly lost: () => void;
  /** What came was no request, and this is the status that says why. Whoever is told takes the reading. */
  readonly failed: (status: 400 | 431 | 505) => void;
}

/**
 * Watches over what the parser of a connection's server lets through, until something does not pass. Returns what ends that;
 * undefined, and nothing has happened, where the server is none of Node's own, or reads in a different way, or takes what others
 * would not, or might not tell of `maxFields` field lines, or waits for a head for ever.
 */
export function watchParser(
  server: Server,
  socket: Socket,
  maxFields: number,
  watch: ParserWatch,
): (() => void) | undefined {
  const parser = parserOf(socket);
  if (parser?._consumed !== true || parser.getCurrentBuffer === undefined) return undefined;
  if (isLenient(server) || connectionsOf(server) === undefined) return undefined;
  if (server.headersTimeout === 0 && server.requestTimeout === 0) return undefined;
  const { maxHeaderPairs } = parser;
  if (maxHeaderPairs > 0 && maxHeaderPairs < 2 * maxFields) return undefined;
  const { kOnExecute } = parser.constructor;
  const { onIncoming, [kOnExecute]: onExecute } = parser;
  if (onExecute === undefined) return undefined;
  const release = (): void => {
    // When a socket is closed its parser becomes another one's.
    if (parserOf(socket) !== parser) return;
    parser.onIncoming = onIncoming;
    parser[kOnExecute] = onExecute;
  };
  parser.onIncoming = (request, keepAlive) => {
    if (watch.passes(request, keepAlive)) return onIncoming(request, keepAlive);
    release();
    if (!parser._consumed) {
      parser.incoming = null;
      watch.lost();
      return STOP;
    }
    // Which of the octets that have been read follow the head is known when the parser has stopped behind it.
    parser[kOnExecute] = (result) => {
      release();
      const read = parser.getCurrentBuffer?.() ?? NOTHING;
      parser.incoming = null;
      const octets = Buffer.concat([headOf(request), read.subarray(Number(result))]);
      watch.stopped(octets, () => begin(parser, server));
    };
    return STOP;
  };
  parser[kOnExecute] = (result) => {
    if (typeof result === 'number') {
      onExecute(result);
      return;
    }
    release();
    begin(parser, server);
    // It gets nothing any more, however long the answers before take.
    parser.remove();
    watch.failed(statusOf(result));
  };
  return release;
}

/**
 * Has the server get what is read from the stream's 'data' events alone; returns its listener for them. Until then it reads from the
 * descriptor past the socket (unconsume in lib/_http_server.js).
 */
export function takeReading(socket: Socket): (octets: Buffer) => void {
  socket.on('data', ignore).off('data', ignore);
  return socket.listeners('data')[0] as (octets: Buffer) => void;
}

/**
 * Whether an http.Server that a Socket was given to has answered all that it has read from it, down to the last octet: no
 * response is under way, and of the next request its parser has seen nothing. False where the Socket has left HTTP.
 */
export function isBetweenRequests(socket: Socket): boolean {
  const parser = parserOf(socket);
  if (answerOf(socket) !== undefined || parser?.duration === undefined) return false;
  // How long the message that is being read has been taking; 0 where there is none. For a parser that has read nothing at all the
  // clock runs from the beginning.
  return parser.duration() === 0 || socket.bytesRead === 0;
}

/** The response that an http.Server has under way on a Socket; of several, the first. */
export function answerOf(socket: Socket): ServerResponse | undefined {
  return (socket as unknown as ServedSocket)._httpMessage ?? undefined;
}

function parserOf(socket: Socket): Parser | undefined {
  return (socket as unknown as ServedSocket).parser ?? undefined;
}

/**
 * Has a parser begin anew: it takes nothing behind a message that closes its connection, nor behind an error, and tells of no error
 * behind another protocol.
 */
function begin(parser: Parser, server: Server): void {
  const { REQUEST, kLenientNone } = parser.constructor;
  const { maxHeaderSize = 0 } = server as ParsingServer;
  // Out of the server's list of connections, by which it ends those that take too long, before the clock is set anew, by which that is
  // ordered.
  parser.remove();
  parser.initialize(REQUEST, {}, maxHeaderSize, kLenientNone, connectionsOf(server));
}

/** The server's list of its connections; undefined where it keeps none, and then it ends none that takes too long. */
function connectionsOf(server: Server): unknown {
  const list = Object.getOwnPropertySymbols(server).find(({ description }) => description === CONNECTIONS);
  return list && (server as unknown as Record<symbol, unknown>)[list];
}

/** Whether the server's parser takes what is no HTTP. */
function isLenient(server: Server): boolean {
  const { insecureHTTPParser } = server as ParsingServer;
  return insecureHTTPParser ?? LENIENT_BY_OPTION;
}

function statusOf({ code, reason }: ParserError): 400 | 431 | 505 {
  if (code === 'HPE_HEADER_OVERFLOW') return 431;
  return code === 'HPE_PAUSED_H2_UPGRADE' || reason === 'Invalid HTTP version' ? 505 : 400;
}

/**
 * A head as the parser has understood it: it may differ from what was sent in white space around values and in the request line, in
 * empty lines in front, and in nothing else.
 */
function headOf({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  let head = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let i = 0; i < rawHeaders.length; i += 2) head += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`;
  return Buffer.from(`${head}\r\n`, 'latin1');
}

function ignore(): void {
  // Nobody wants what is read in this way.
}
