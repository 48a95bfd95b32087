import type { Socket } from 'node:net';

/** One response with a Content-Length, as it came. */
export interface RawResponse {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** How the other side ended a connection. */
export type End = 'FIN' | 'RST';

const DEFAULT_TIMEOUT_MS = 5_000;

/** The client's end of a connection, octet by octet: what is sent is what the test says, what came is kept as text. */
export class RawConnection {
  #text = '';
  #end: End | undefined;
  /** When the end came: a time of performance.now(). */
  endedAt = NaN;
  #changed: (() => void) | undefined;

  constructor(readonly socket: Socket) {
    socket.allowHalfOpen = true;
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.#text += text;
      this.#changed?.();
    });
    socket.on('end', () => this.#ended('FIN'));
    socket.on('error', () => this.#ended('RST'));
  }

  /** Everything received so far. */
  get text(): string {
    return this.#text;
  }

  get localPort(): number {
    return this.socket.localPort ?? 0;
  }

  /** Resolves when the kernel has the bytes. */
  send(text: string): Promise<void> {
    return new Promise((resolve) => this.socket.write(text, 'latin1', () => resolve()));
  }

  /** Sends a request without a body. */
  get(path: string, fields = ''): Promise<void> {
    return this.send(`GET ${path} HTTP/1.1\r\nHost: lab\r\n${fields}\r\n`);
  }

  /** Says that nothing more will come, as `nc -N` does. */
  finish(): void {
    this.socket.end();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  close(): void {
    this.socket.destroy();
  }

  /** Waits until the first `count` responses are complete, and returns all that are. */
  async responses(count: number, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<RawResponse[]> {
    await this.#until(() => parseResponses(this.#text).length >= count || this.#end !== undefined, timeoutMs);
    const responses = parseResponses(this.#text);
    if (responses.length < count)
      throw new Error(`${responses.length} responses, then ${this.#end ?? 'nothing'}`);
    return responses;
  }

  /** The next response alone. */
  async response(timeoutMs?: number): Promise<RawResponse> {
    const [response] = await this.responses(1, timeoutMs);
    if (response === undefined) throw new Error('no response');
    this.#text = this.#text.slice(response.head.length + response.body.length);
    return response;
  }

  /** Waits until the other side ends the connection. */
  async ended(timeoutMs = DEFAULT_TIMEOUT_MS): Promise<End> {
    await this.#until(() => this.#end !== undefined, timeoutMs);
    return this.#end ?? 'RST';
  }

  #ended(end: End): void {
    this.#end ??= end;
    this.endedAt = performance.now();
    this.#changed?.();
  }

  /** One waiter at a time is all that a test needs. */
  #until(condition: () => boolean, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (then: () => void): void => {
        clearTimeout(timer);
        this.#changed = undefined;
        then();
      };
      const timer = setTimeout(
        () =>
          settle(() =>
            reject(new Error(`not within ${timeoutMs} ms; received: ${this.#text.slice(0, 300)}`)),
          ),
        timeoutMs,
      );
      this.#changed = () => {
        if (condition()) settle(resolve);
      };
      this.#changed();
    });
  }
}

/** The complete responses at the beginning of a text. */
export function parseResponses(text: string): RawResponse[] {
  const responses: RawResponse[] = [];
  for (let at = 0; ;) {
    const headEnd = text.indexOf('\r\n\r\n', at) + 4;
    if (headEnd < at + 4) return responses;
    const head = text.slice(at, headEnd);
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
    if (text.length < headEnd + length) return responses;
    const status = Number(head.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length));
    responses.push({ status, head, body: text.slice(headEnd, headEnd + length) });
    at = headEnd + length;
  }
}
