import { createServer, type IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';

/** What Node's own server makes of a stream of octets: the requests that it finds in it. */
export interface NodeRequest {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly version: string;
  /** Names and values in turn, as sent. */
  readonly raw: readonly string[];
  /** Whether the server would read another request behind this one. */
  readonly keepsAlive: boolean;
  /** Whether it was taken for an upgrade, which is possible where a server listens for them. */
  readonly upgraded: boolean;
  readonly body: string;
  readonly complete: boolean;
}

export interface NodeReading {
  readonly requests: readonly NodeRequest[];
  /** The code of the parser's error, '' without. */
  readonly error: string;
}

export interface NodeReaderOptions {
  /** All of the parser's leniency (insecureHTTPParser). */
  readonly lenient?: boolean;
}

/** Feeds the pieces to an http.Server that listens for upgrades. */
export async function readWithNode(
  pieces: readonly Buffer[],
  { lenient = false }: NodeReaderOptions = {},
): Promise<NodeReading> {
  const server = createServer({ insecureHTTPParser: lenient, keepAlive: true });
  const requests: NodeRequest[] = [];
  let error = '';
  const note = (request: IncomingMessage, keepsAlive: boolean, upgraded: boolean): { body: string } => {
    const { method, url, httpVersion: version, rawHeaders: raw } = request;
    const noted = { method, url, version, raw, keepsAlive, upgraded, body: '', complete: false };
    requests.push(noted);
    request.on('data', (chunk: Buffer) => (noted.body += chunk.toString('latin1')));
    request.on('end', () => (noted.complete = request.complete));
    return noted;
  };
  // No answer: what the server reads shall not depend on when it answers.
  server.on('request', (request, response) => note(request, response.shouldKeepAlive, false));
  server.on('upgrade', (request: IncomingMessage) => note(request, false, true));
  server.on('clientError', (cause: NodeJS.ErrnoException) => (error = cause.code ?? ''));
  const stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  server.emit('connection', stream);
  for (const piece of pieces) stream.push(piece);
  // Flowing begins in the next tick, and a body's end takes two more.
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  stream.destroy();
  return { requests, error };
}
