/**
 * What stands between an adopted connection and the server: each request is judged by the front's rules before the application
 * sees a byte of it.
 *
 *   read by the server's parser -> head -> judge -+-> here, as it is: the server
 *                                                 |
 *   read by the gate  -> held <-------------------+ all else, with what follows
 *                         |
 *                         +-> head -> judge -+-> here: the server, with the head as the rules change it
 *                                            +-> elsewhere: the connection goes there, or a detour relays the one message
 *                                            +-> an answer: a detour gives it
 *
 * As long as plain requests come that are served here, the server reads by itself, which costs least, and the gate is shown each
 * head. From the first other request on the gate reads, to the end of the connection. The server gets one message at a time then,
 * cut exactly at its end; what follows waits until the answer is out. So a request that is judged is always the next one to be
 * served, and the connection could go elsewhere at that point: nothing of an answer is under way, and no server has seen what is
 * held.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { answerOf, isBetweenRequests, takeReading, watchParser } from '../kernel/node-parser';
import { cutOff, isWritten, startReading, stopReading } from '../kernel/node-socket';
import { asksForTunnel } from '../peek/closing-head';
import { longestEditedHead, MOST_ADDED_BYTES, MOST_ADDED_FIELDS, writeEditedHead } from '../peek/edited-head';
import type { Asker, HeadChanges, RoutableHead } from '../peek/head';
import { Http1Peek, MAX_FIELDS } from '../peek/http1';
import { MessageEnd } from '../peek/message-end';
import { worthReading } from '../peek/worth-reading';
import type { Destination } from '../relay/destination';
import { lastWords } from '../relay/last-words';
import { RepairError } from '../repair/errors';
import { FLAGS, HEADER_BYTES, PER_REQUEST, RECEIVE_LENGTH, ROUTED } from '../repair/layout';
import type { Detour, Detours } from './detour';
import type { ChannelRules } from './front-rules';
import { HeldBytes } from './held-bytes';
import { judge, type Verdict } from './judge';
import { ParsedHead } from './parsed-head';
import type { Rules, Routing, Served } from './rules';

/** The longest head that a front may be configured for (limits.head_bytes). */
const LONGEST_HEAD = 65_536;
/** A head that the front has edited already. */
const routedReader = new Http1Peek(
  longestEditedHead(LONGEST_HEAD, MOST_ADDED_BYTES),
  MAX_FIELDS + MOST_ADDED_FIELDS + 1,
);
/** Where heads are edited, one at a time; made for the first of them. */
let edited: Buffer | undefined;

/** As much as is read at once: no more is read while so much is held. */
const MOST_HELD_BYTES = 64 * 1024;
/** For a head that has begun: the default of a front's `timeouts.head`. */
const HEAD_MS = 10_000;
/** How long a client that was refused may go on sending: closing at once could send a RST that overtakes the answer. */
const LINGER_MS = 5_000;
const CR = 0x0d;
const CRLF_BYTES = 2;
const NOTHING = Buffer.alloc(0);

/** Of all gates: what it has read is judged before it reads again. */
const parsedHead = new ParsedHead();

type Head = Pick<IncomingMessage, 'url' | 'method' | 'httpVersion' | 'rawHeaders'>;

// Whose the next octet is.
/** The server's, whose parser reads by itself. */
const DIRECT = 0;
/** The next request's. */
const BETWEEN = 1;
/** Of a message that the server has begun to get, or the first one behind it, which waits for the answer. */
const MESSAGE = 2;
/** The same with a detour in the place of the server. */
const DETOUR = 3;
/** What the server makes of a protocol that is not HTTP. */
const TUNNEL = 4;
/** Of a message that belongs elsewhere: the connection is to go there. */
const LEAVING = 5;
/** The same, and whoever hands it back has been asked. */
const GOING = 6;
/** Nobody's yet: somebody has taken the connection out, or is about to. */
const OUT = 7;
/** Nobody's any more. */
const OVER = 8;
/** The same, while a detour refuses the message before it. */
const BROKEN = 9;

const WITHOUT_UPGRADE: HeadChanges = { set: [], without: ['upgrade', 'http2-settings'] };
const AS_IT_IS: Extract<Verdict, { is: 'here' }> = {
  is: 'here',
  changes: undefined,
  served: { pool: '', key: '' },
};

/** Whether a connection that was to be handed back has gone. */
export interface HandBackOutcomes {
  /** It lives elsewhere; whoever calls this destroys the socket. */
  moved(): void;
  /** It stays. `here`: and its request is to be served here, because the front knows no better place. */
  kept(here?: boolean): void;
}

/**
 * Hands a live connection back to its front, to be served by a backend of `pool`. `held` is all that was read of it and that no
 * application has seen, from the beginning of a head; no answer is under way, nothing written is left in this process, and
 * nothing is read until the outcome is known. False where that is not possible now, and then no outcome follows.
 */
export type HandBack = (held: Buffer, pool: string, outcomes: HandBackOutcomes) => boolean;

export interface GateParts {
  readonly server: Server;
  readonly detours: Detours;
  /** Of the connection; it begins with the client's address. */
  readonly flow: Buffer;
  readonly handBack: HandBack;
  readonly headMs?: number;
}

/** The way in of a connection that is judged, from before it has a gate. */
export class Inlet {
  gate: RequestGate | undefined;

  constructor(
    readonly rules: ChannelRules,
    /** The first message's head has been routed, and edited. */
    readonly routed: boolean,
    /** What the last message was led by, where the process before this one has served it. */
    readonly served?: Served,
  ) {}

  readonly read = (length: number, bytes: Buffer): boolean => this.gate?.read(length, bytes) ?? true;
}

/** The way in that a snapshot asks for, undefined where it asks for none; throws a RepairError if there is no such way. */
export function inletOf(bytes: Buffer, offset: number, rules: ChannelRules | undefined): Inlet | undefined {
  const flags = bytes.readUInt8(offset + FLAGS);
  if ((flags & PER_REQUEST) === 0) return undefined;
  if (rules === undefined)
    throw new RepairError(
      'malformed_snapshot',
      'snapshot: requests to be judged by rules that have not come',
    );
  const routed = (flags & ROUTED) !== 0;
  if (routed) {
    const start = offset + HEADER_BYTES;
    const received = bytes.subarray(start, start + bytes.readUInt32BE(offset + RECEIVE_LENGTH));
    const outcome = routedReader.read(received, received.length);
    if (outcome !== 'head') {
      const reason = outcome === 'more' ? 'incomplete' : routedReader.reason;
      throw new RepairError('malformed_snapshot', `snapshot: a routed request without a head: ${reason}`);
    }
  }
  return new Inlet(rules, routed);
}

export class RequestGate {
  readonly #held = new HeldBytes();
  readonly #rules: ChannelRules;
  #part = BETWEEN;
  /** The head that comes first has been routed. */
  #routed: boolean;
  #asker: Asker;
  /** The server's own listener for what is read. */
  #serve: (octets: Buffer) => void = ignore;
  /** The rest of the message that is under way; undefined when all of it has been passed on. */
  #body: MessageEnd | undefined;
  /** The answer to it is out. */
  #answered = false;
  /** Whose end somebody will tell of. */
  #response: ServerResponse | undefined;
  /** The socket's timeout is the gate's, and not the server's. */
  #timeoutIsOurs = false;
  #served: Served | undefined;
  /** What becomes of a request that could not leave. */
  #stay: 'here' | 'detour' | undefined;
  #leavingFor = '';
  /** Bytes of a head that was read and is not complete. */
  #seen = 0;
  #timer: NodeJS.Timeout | undefined;
  #detour: Detour | undefined;
  #detourTakes = true;
  #pumping = false;
  #stopped = false;
  /** The client has closed its side; and whoever reads has been told. */
  #ended = false;
  #toldEnd = false;
  /** Ends that the server reads by itself. */
  #unwatch: (() => void) | undefined;
  /** To be called before the server gets something: its parser has stopped. */
  #renew: (() => void) | undefined;
  /** The target of the last request that it got so. */
  #lastTarget: string | undefined;
  /** The last request, where its target is that of the one before, and by whose verdict it is here: it may have the same one again. */
  #last: Head | undefined;
  #lastRules: Rules | undefined;
  /** What to refuse the client with when all answers are out. */
  #refusal: number | undefined;
  /** What `#routing` comes from. */
  #routingRules: Rules | undefined;
  #routing: Routing = 'per-request';

  /** Before the server gets the socket. */
  constructor(
    private readonly socket: Socket,
    { rules, routed, served }: Inlet,
    private readonly parts: GateParts,
  ) {
    this.#rules = rules;
    this.#routed = routed;
    this.#served = served;
    this.#asker = { client: parts.flow };
    const left = rules.join();
    socket.push = this.#push;
    socket.on('resume', () => this.#pump());
    socket.once('close', () => {
      left();
      clearTimeout(this.#timer);
      this.#part = OVER;
      this.#detour?.destroy();
    });
  }

  /** Call whenever the server has been given the socket. */
  attached(): void {
    if (this.#part === BETWEEN)
      this.#unwatch = watchParser(this.parts.server, this.socket, MAX_FIELDS + 1, {
        passes: this.#passes,
        stopped: this.#stoppedAt,
        lost: () => cutOff(this.socket),
        failed: this.#failed,
      });
    if (this.#unwatch !== undefined) {
      this.#part = DIRECT;
      return;
    }
    this.#serve = takeReading(this.socket);
    // A server that wants no upgrade may take the request for an ordinary one.
    if (this.#part === TUNNEL) this.#part = MESSAGE;
  }

  /** Whether a request that the server's parser has read is the server's, as it is. */
  readonly #passes = (request: IncomingMessage, keepAlive: boolean): boolean => {
    const rules = this.#rules.current;
    if (!keepAlive) return false;
    if (this.#lastRules === rules && isSame(request, this.#last)) return true;
    if (!parsedHead.read(request, rules.headBytes)) return false;
    const verdict = this.#judge(rules, parsedHead);
    const routed = this.#routed;
    // The front has judged it; but what it was led here by is what the next one is compared with.
    if (!routed && (verdict.is !== 'here' || verdict.changes !== undefined)) return false;
    if (verdict.is !== 'answer') this.#served = verdict.served;
    this.#routed = false;
    // Not a head that the front has edited: a client that sends that may mean something else.
    if (!routed) this.#remember(request, rules);
    return true;
  };

  #remember({ url, method, httpVersion, rawHeaders }: IncomingMessage, rules: Rules): void {
    // Those who ask for something else each time do not ask for the same a third time. The application may change what it is given.
    this.#last =
      url === this.#lastTarget ? { url, method, httpVersion, rawHeaders: rawHeaders.slice() } : undefined;
    this.#lastRules = rules;
    this.#lastTarget = url;
  }

  /** What did not pass, from its beginning on. */
  readonly #stoppedAt = (octets: Buffer, renew: () => void): void => {
    this.#renew = renew;
    this.#takeOver();
    this.#held.add(octets, 0, octets.length);
    this.#pump();
  };

  readonly #failed = (status: number): void => {
    this.#takeOver();
    this.#refusal = status;
    this.#pump();
  };

  /** Of requests before there may still be answers under way. */
  #takeOver(): void {
    if (answerOf(this.socket) !== undefined) this.#readOn(MESSAGE);
    else this.#readOn(this.socket.writableEnded ? OVER : BETWEEN);
    this.#answered = false;
    this.#followNext();
  }

  /** The gate reads from here on. */
  #readOn(part: number): void {
    this.#part = part;
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.#serve = takeReading(this.socket);
    this.#last = this.#lastRules = this.#lastTarget = undefined;
  }

  /** The server has begun to answer: `answered` with the same response will follow. */
  followed(response: ServerResponse): void {
    if (this.#part !== DIRECT) this.#response = response;
  }

  /** An answer of the server is out, or broken off; one that is not the message's own says nothing. */
  readonly answered = (response: ServerResponse): void => {
    if (this.#part !== MESSAGE || this.#answered || response !== this.#response) return;
    // Of requests that the server has read by itself it may have several.
    if (answerOf(this.socket) !== undefined) {
      this.#followNext();
      return;
    }
    this.#answered = true;
    this.#endMessage();
    if (this.#held.length > 0 || this.#ended || this.#refusal !== undefined) this.#pump();
  };

  /** What the last message was led by; undefined before the first one. */
  get served(): Served | undefined {
    return this.#served;
  }

  /** Whether the connection is in use although the server sees nothing of that. */
  get busy(): boolean {
    return (
      this.#held.length > 0 ||
      this.#part === DETOUR ||
      this.#part === BROKEN ||
      this.#part === GOING ||
      this.#part === OUT
    );
  }

  /**
   * Takes the connection out between two messages: nothing is read any more. Returns what has been read and no server has seen,
   * perhaps a part of a head; undefined where it cannot go. `putBack` is the undo.
   */
  takeOut(): Buffer | undefined {
    const { socket } = this;
    if (this.#part !== BETWEEN && !(this.#part === DIRECT && isBetweenRequests(socket))) return undefined;
    if (this.#routed || this.#ended || socket.destroyed || socket.writableEnded || !isWritten(socket))
      return undefined;
    if (this.#part === DIRECT) this.#readOn(BETWEEN);
    this.#stop(OUT);
    return Buffer.from(this.#held.bytes);
  }

  putBack(): void {
    if (this.#part !== OUT) return;
    this.#goOn(this.parts.server.keepAliveTimeout);
  }

  /** Octets have come: [0, length) of `bytes`. False stops reading. */
  read(length: number, bytes: Buffer): boolean {
    if (this.#part === DIRECT) {
      // An application that reads the socket itself has the server's parser read from it (watchParser).
      if (!isBetweenRequests(this.socket) && this.socket.bytesRead > length) {
        takeReading(this.socket)(Buffer.from(bytes.subarray(0, length)));
        return true;
      }
      // Or another process has read them.
      this.#readOn(BETWEEN);
    }
    if (this.#part === TUNNEL && this.#held.length === 0) return this.#pass(bytes.subarray(0, length));
    const waits = this.#held.length > 0;
    const at = waits ? 0 : this.#take(bytes, 0, length);
    if (at === length) return true;
    this.#held.add(bytes, at, length);
    if (waits) this.#pump();
    else this.#settle();
    return true;
  }

  /** Gives to whom it may concern what there is in [at, end), and returns how far it came. */
  #take(bytes: Buffer, at: number, end: number): number {
    while (at < end) {
      if (this.socket.destroyed) return end;
      const next = this.#step(bytes, at, end);
      if (next === at) return at;
      at = next;
    }
    return at;
  }

  #step(bytes: Buffer, at: number, end: number): number {
    switch (this.#part) {
      case BETWEEN:
        return this.#begin(bytes, at, end);
      case MESSAGE:
        // An application that closes has answered, whether anybody says so or not.
        if (this.#body === undefined && this.socket.writableEnded) {
          this.#part = OVER;
          return end;
        }
        if (this.#body === undefined || this.socket.isPaused()) return at;
        return this.#continue(this.#body, bytes.subarray(at, end), at);
      case DETOUR:
        return this.#detourOn(bytes, at, end);
      case TUNNEL:
        this.#pass(bytes.subarray(at, end));
        return end;
      case OVER:
      case BROKEN:
        return end;
      default:
        return at;
    }
  }

  /** More of the body of the server's message. */
  #continue(body: MessageEnd, octets: Buffer, at: number): number {
    const length = body.take(octets);
    if (body.over) this.#body = undefined;
    this.#serve(octets.subarray(0, length));
    if (body.broken) this.#break();
    this.#endMessage();
    return at + length;
  }

  #detourOn(bytes: Buffer, at: number, end: number): number {
    const detour = this.#detour;
    if (detour === undefined || !this.#detourTakes) return at;
    if (detour.tunnel) {
      this.#detourTakes = detour.feed(bytes.subarray(at, end));
      return end;
    }
    if (this.#body === undefined) return at;
    const body = this.#body;
    const octets = bytes.subarray(at, end);
    const length = body.take(octets);
    if (body.over) this.#body = undefined;
    this.#detourTakes = detour.feed(octets.subarray(0, length));
    if (body.broken) this.#breakDetour(detour);
    this.#endMessage();
    return at + length;
  }

  /** A message's first octets, or more of its head. */
  #begin(bytes: Buffer, at: number, end: number): number {
    if (this.socket.isPaused()) return at;
    const rules = this.#rules.current;
    return this.#readHead(rules, at === 0 ? bytes : bytes.subarray(at, end), at, end - at);
  }

  /** `bytes` [0, length) begin with the head, and lie at `at` of what is being read; returns how far it came there. */
  #readHead(rules: Rules, bytes: Buffer, at: number, length: number): number {
    if (this.#seen > 0 && length < rules.headBytes && !worthReading(bytes, this.#seen, length)) return at;
    const head = this.#routed ? routedReader : rules.reader;
    const outcome = head.read(bytes, length);
    if (outcome === 'more') {
      this.#seen = length;
      // Some clients send an empty line behind a body, and nothing more for a while (RFC 9112 section 2.2).
      if (length > CRLF_BYTES || bytes[0] !== CR) this.#awaitHead();
      return at;
    }
    this.#seen = 0;
    this.#stopTimer();
    if (outcome === 'malformed') {
      this.#refuse(head.status);
      return at + length;
    }
    return at + this.#direct(rules, head, bytes, length);
  }

  /** Sends a message whose head is complete on its way; returns how much of it is. */
  #direct(rules: Rules, head: Http1Peek, bytes: Buffer, length: number): number {
    const routed = this.#routed;
    const judged = this.#judge(rules, head);
    // The front has judged it; but what it was led here by is what the next one is compared with.
    const verdict: Verdict =
      routed && judged.is !== 'answer' ? { ...AS_IT_IS, served: judged.served } : routed ? AS_IT_IS : judged;
    const stay = this.#stay;
    this.#stay = undefined;
    if (verdict.is === 'answer') return this.#divert(head, bytes, length, verdict.destination);
    if (verdict.is === 'elsewhere' && stay !== 'here') {
      if (stay === 'detour' || this.#routing !== 'per-request' || this.#ended)
        return this.#divert(head, bytes, length, verdict.relayed());
      this.#leavingFor = verdict.pool;
      this.#part = LEAVING;
      return 0;
    }
    this.#routed = false;
    this.#served = verdict.served;
    return this.#serveHere(head, bytes, length, verdict.changes);
  }

  #judge(rules: Rules, head: RoutableHead): Verdict {
    if (this.#routingRules !== rules) {
      this.#routingRules = rules;
      const { name, routing } = rules.listenerOf(this.parts.flow);
      this.#routing = routing;
      this.#asker = { client: this.parts.flow, ...(name !== undefined && { listener: name }) };
    }
    if (this.#routing === 'per-connection') return AS_IT_IS;
    return judge(rules, head, this.#asker, this.#served);
  }

  #serveHere(head: Http1Peek, bytes: Buffer, length: number, changes: HeadChanges | undefined): number {
    const { headLength, upgrade } = head;
    const body = bodyOf(head);
    const all = upgrade ? upgradeChanges(head, changes) : changes;
    let total = headLength;
    let octets: Buffer;
    if (all !== undefined) octets = edit(head, bytes, all);
    else {
      // In one piece with the body, as far as that has come.
      if (body !== undefined) total += body.take(bytes.subarray(headLength, length));
      octets = bytes.subarray(0, total);
    }
    this.#open(body);
    this.#renew?.();
    this.#renew = undefined;
    this.#serve(octets);
    this.#follow();
    if (upgrade && !this.socket.listeners('data').includes(this.#serve)) this.#part = TUNNEL;
    if (body?.broken === true) this.#break();
    return total;
  }

  /** The server is about to get a message. */
  #open(body: MessageEnd | undefined): void {
    this.#part = MESSAGE;
    this.#answered = false;
    this.#response = undefined;
    // The server undoes only what it has set itself.
    if (this.#timeoutIsOurs) this.#setTimeout(this.parts.server.timeout, false);
    this.#body = body?.over === true ? undefined : body;
    this.#stay = undefined;
  }

  /** Sees to it that somebody says when the answer is out. */
  #follow(): void {
    // A server answers some requests without telling anybody: an Expect that it does not know, or one too many.
    if (this.#response === undefined) this.#followNext();
  }

  #followNext(): void {
    const response = answerOf(this.socket);
    if (response === undefined) return;
    this.#response = response;
    response.once('close', () => this.answered(response));
  }

  #setTimeout(ms: number, ours = true): void {
    this.#timeoutIsOurs = ours;
    this.socket.setTimeout(ms);
  }

  #endMessage(): void {
    if (!this.#answered || this.#body !== undefined || this.#part >= OVER) return;
    // A server may close with its answer.
    this.#part = this.socket.writableEnded || this.socket.destroyed ? OVER : BETWEEN;
  }

  /** The message goes to the agent's own server; returns how much of it has. */
  #divert(head: Http1Peek, bytes: Buffer, length: number, destination: Destination): number {
    const changes = head.upgrade ? upgradeChanges(head, undefined) : undefined;
    const detour = (this.#detour ??= this.parts.detours.open(this.socket, {
      ready: () => {
        this.#detourTakes = true;
        this.#pump();
      },
      answered: () => this.#detourAnswered(),
      closed: () => this.#detourClosed(),
    }));
    this.#routed = false;
    this.#part = DETOUR;
    this.#answered = false;
    const body = bodyOf(head);
    let total = head.headLength;
    let octets = bytes.subarray(0, total);
    if (changes !== undefined) octets = edit(head, bytes, changes);
    else if (body !== undefined) {
      // In one piece: an answer without the body would close the connection.
      total += body.take(bytes.subarray(total, length));
      octets = bytes.subarray(0, total);
    }
    this.#body = body?.over === true ? undefined : body;
    // The server would take the connection for idle.
    this.#setTimeout(0);
    detour.destination = destination;
    const relayed = typeof destination === 'object' && 'origin' in destination;
    this.parts.detours.counts[relayed ? 'relayed' : 'answered'] += 1;
    this.#detourTakes = detour.feed(octets);
    if (body?.broken === true) this.#breakDetour(detour);
    return total;
  }

  /**
   * The message's chunks are none. The server has seen the octet that cannot be, and may wait for more: to it the client has
   * ended here, so it refuses the message. Nobody gets what follows.
   */
  #break(): void {
    this.#part = OVER;
    this.#tellEnd();
  }

  #breakDetour(detour: Detour): void {
    this.#part = BROKEN;
    this.#toldEnd = true;
    detour.push(null);
  }

  #detourAnswered(): void {
    const detour = this.#detour;
    if (this.#part !== DETOUR || detour === undefined || detour.writableEnded || detour.destroyed) return;
    this.#answered = true;
    this.#endMessage();
    this.#setTimeout(this.parts.server.keepAliveTimeout);
    this.#pump();
  }

  #detourClosed(): void {
    this.#detour = undefined;
    if (this.#part !== DETOUR && this.#part !== BROKEN) return;
    this.#part = OVER;
    const { socket } = this;
    if (socket.writableEnded) socket.destroySoon();
    else socket.resetAndDestroy();
  }

  /** Gives away what is held, as far as that is possible now. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    if (this.#refusal !== undefined && this.#part === BETWEEN) this.#refuse(this.#refusal);
    try {
      for (let taken = 1; taken > 0 && this.#held.length > 0;) {
        const { bytes } = this.#held;
        taken = this.#take(bytes, 0, bytes.length);
        this.#held.drop(taken);
      }
    } finally {
      this.#pumping = false;
    }
    this.#settle();
  }

  /** What follows from how much is held, and whose it is. */
  #settle(): void {
    if (this.#part === LEAVING) this.#leave();
    if (this.#part === GOING || this.#part === OUT) return;
    // A head that the front has edited may be longer than all that others may have.
    const tooMuch = this.#held.length >= MOST_HELD_BYTES && !this.#routed;
    if (tooMuch && !this.#stopped) stopReading(this.socket);
    if (!tooMuch && this.#stopped) startReading(this.socket);
    this.#stopped = tooMuch;
    if (this.#ended && !this.#toldEnd) this.#end();
  }

  #stop(part: number): void {
    this.#part = part;
    this.#stopTimer();
    this.#stopped = true;
    stopReading(this.socket);
    // The server would take the connection for idle.
    this.#setTimeout(0);
  }

  /** The undo of `#stop`. */
  #goOn(timeoutMs: number): void {
    this.#part = BETWEEN;
    this.#seen = 0;
    this.#setTimeout(timeoutMs);
    this.#pump();
  }

  #leave(): void {
    const { socket } = this;
    this.#stop(GOING);
    // Without bytes of its own: it is called when those before have left.
    if (socket.writableLength > 0) socket.write(NOTHING, () => this.#handBack());
    else this.#handBack();
  }

  #handBack(): void {
    if (this.#part !== GOING) return;
    const possible =
      !this.#ended &&
      this.parts.handBack(Buffer.from(this.#held.bytes), this.#leavingFor, {
        moved: () => (this.#part = OVER),
        kept: (here = false) => this.#kept(here),
      });
    if (!possible) this.#kept(false);
  }

  #kept(here: boolean): void {
    if (this.#part !== GOING || this.socket.destroyed) return;
    this.#stay = here ? 'here' : 'detour';
    this.#goOn(0);
  }

  /** In place of the socket's own: of a gated socket only the end comes this way. */
  readonly #push = (octets: Buffer | null): boolean => {
    if (octets !== null) return Socket.prototype.push.call(this.socket, octets);
    this.#ended = true;
    this.#pump();
    return false;
  };

  /** The client has closed its side: who reads hears of it behind the last octet. */
  #end(): void {
    switch (this.#part) {
      case OVER:
        this.socket.destroySoon();
        break;
      case BROKEN:
        return;
      case DETOUR:
        // Before that it ends with the answer.
        if (this.#held.length > 0 || !(this.#body !== undefined || this.#detour?.tunnel === true)) return;
        this.#toldEnd = true;
        this.#detour?.push(null);
        return;
      case MESSAGE:
      case TUNNEL:
        if (this.#held.length > 0 || this.#refusal !== undefined) return;
        break;
      case BETWEEN:
        if (this.socket.isPaused() && this.#held.length > 0) return;
        this.#held.drop(this.#held.length);
        this.#stopTimer();
        break;
      default:
        // What is left is a part of a head.
        this.#held.drop(this.#held.length);
        this.#stopTimer();
    }
    this.#tellEnd();
  }

  #tellEnd(): void {
    if (this.#toldEnd) return;
    this.#toldEnd = true;
    Socket.prototype.push.call(this.socket, null);
    this.socket.read(0);
  }

  #pass(octets: Buffer): boolean {
    return Socket.prototype.push.call(this.socket, Buffer.from(octets));
  }

  #awaitHead(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#part === BETWEEN) this.#refuse(408);
    }, this.parts.headMs ?? HEAD_MS);
    // Of the server's, for idle connections.
    this.#setTimeout(0);
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** What no server may read: another would perhaps understand it differently. */
  #refuse(status: number): void {
    this.#part = OVER;
    this.#held.drop(this.#held.length);
    this.#stopTimer();
    this.parts.detours.counts.refused += 1;
    this.socket.end(lastWords(status), 'latin1');
    this.#timer = setTimeout(() => this.socket.destroy(), LINGER_MS);
    if (!this.#pumping) this.#settle();
  }
}

/** What follows a head; undefined where nothing does. */
function bodyOf(head: Http1Peek): MessageEnd | undefined {
  const { hasBody, contentLength, chunked } = head;
  return hasBody ? new MessageEnd({ headLength: 0, contentLength, chunked }) : undefined;
}

/**
 * The changes of a head with an Upgrade. A server that knows upgrades lets go of HTTP wherever the head asks for one, also where
 * it should not follow (asksForTunnel): then the head asks no more.
 */
function upgradeChanges(head: Http1Peek, changes: HeadChanges | undefined): HeadChanges | undefined {
  if (asksForTunnel(head)) return changes;
  if (changes === undefined) return WITHOUT_UPGRADE;
  return { ...changes, without: [...changes.without, ...WITHOUT_UPGRADE.without] };
}

/** The edited head; valid until the next one. */
function edit(head: Http1Peek, bytes: Buffer, changes: HeadChanges): Buffer {
  edited ??= Buffer.allocUnsafeSlow(
    longestEditedHead(longestEditedHead(LONGEST_HEAD, MOST_ADDED_BYTES), MOST_ADDED_BYTES),
  );
  return edited.subarray(0, writeEditedHead(head, bytes, edited, changes, false));
}

/** Whether the heads of two requests say the same. */
function isSame(request: IncomingMessage, last: Head | undefined): boolean {
  if (last === undefined || request.url !== last.url || request.method !== last.method) return false;
  if (request.httpVersion !== last.httpVersion) return false;
  const { rawHeaders } = request;
  const { rawHeaders: others } = last;
  if (rawHeaders.length !== others.length) return false;
  for (let i = 0; i < rawHeaders.length; i++) if (rawHeaders[i] !== others[i]) return false;
  return true;
}

function ignore(): void {
  // Nobody reads yet.
}
