import { EADDRNOTAVAIL } from '../kernel/errors';
import { probeClient, resetClient } from '../repair/farewell';
import type { ClientNumbers } from '../steer/flow-table';

/** One takes some 15 µs, and a backend may have had a hundred thousand connections: the main thread has other work too. */
const PER_TURN = 64;
/** A released socket of the same addresses may still be here, for 30 ms at most (release-queue.ts). */
const RETRY_MS = 100;
const MOST_TRIES = 3;

type Speak = (flow: Buffer, numbers: ClientNumbers) => number;

interface Farewell {
  readonly speak: Speak;
  readonly flow: Buffer;
  readonly numbers: ClientNumbers;
  readonly tries: number;
}

/** Tells clients that nobody serves their connections any more, or finds out: see repair/farewell.ts. */
export class Farewells {
  #waiting: Farewell[] = [];
  #next = 0;
  #planned = false;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(
    private readonly sayProbe: Speak = probeClient,
    private readonly sayReset: Speak = resetClient,
  ) {}

  /** Makes the client speak, to whoever its flow is steered to. */
  probe(flow: Buffer, numbers: ClientNumbers): void {
    this.#add({ speak: this.sayProbe, flow, numbers, tries: 1 });
  }

  /** Ends the connection in the client's eyes. */
  reset(flow: Buffer, numbers: ClientNumbers): void {
    this.#add({ speak: this.sayReset, flow, numbers, tries: 1 });
  }

  stop(): void {
    this.#waiting = [];
    this.#timers.forEach(clearTimeout);
  }

  #add(farewell: Farewell): void {
    this.#waiting.push(farewell);
    this.#plan();
  }

  #plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    setImmediate(this.#work);
  }

  readonly #work = (): void => {
    this.#planned = false;
    const end = Math.min(this.#next + PER_TURN, this.#waiting.length);
    for (const farewell of this.#waiting.slice(this.#next, end)) this.#say(farewell);
    this.#next = end;
    if (end < this.#waiting.length) {
      this.#plan();
    } else {
      this.#waiting = [];
      this.#next = 0;
    }
  };

  /** What fails for another reason fails for good: the client has no route any more, or the VIP has left this host. */
  #say(farewell: Farewell): void {
    const { speak, flow, numbers, tries } = farewell;
    if (speak(flow, numbers) !== -EADDRNOTAVAIL || tries === MOST_TRIES) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#add({ ...farewell, tries: tries + 1 });
    }, RETRY_MS);
    this.#timers.add(timer);
  }
}
