import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { logFromWorker } from '../observe/log';
import { laneCounters } from '../observe/log-lane';
import { mergeStats, type StatsSnapshot } from '../observe/stats';
import type { OpenListener } from './listeners';
import {
  sumStatus,
  type Failing,
  type Moved,
  type FromWorker,
  type Recovered,
  type Standing,
  type ToWorker,
  type WorkerData,
  type WorkerStatus,
} from './messages';

/** Beside its room, since the code may be in a bundle in another one (deploy/build.sh). */
const WORKER_FILE = join(__dirname, '../front/worker.js');
/** A thread that does not answer a scrape within this time is left out of it. */
const STATS_TIMEOUT_MS = 2000;

/** The state of a thread that is gone. */
const NOTHING = sumStatus([]);

type StatsAnswer = Extract<FromWorker, { type: 'stats' }>;

interface Thread {
  readonly worker: Worker;
  /** Rejects with the reason when the thread breaks before. */
  readonly ready: Promise<void>;
  /** Likewise. */
  readonly listening: Promise<void>;
  readonly waiting: Map<number, (answer: StatsAnswer | undefined) => void>;
  /** Its last count; undefined when it broke before it could say. */
  readonly stopped: Promise<StatsSnapshot | undefined>;
}

export interface AcceptingThreadsEvents {
  /** A running thread broke. */
  failed(message: string): void;
  /** A thread has lost its channel to the agent at this address (formatEndpoint). */
  channelLost(agent: string): void;
  moved(what: Moved): void;
  /** In the eyes of a thread, by its index, a backend fails, and does so no more. */
  failing(thread: number, what: Failing): void;
  recovered(thread: number, what: Recovered): void;
}

/** The accepting threads, seen from the main thread. */
export class AcceptingThreads {
  readonly #threads: Thread[] = [];
  #request = 0;
  #retiring = false;

  /** Starts a thread for each list of listeners, which opens its channels; `accept` follows. */
  static start(
    data: Omit<WorkerData, 'index' | 'listeners' | 'log'>,
    listeners: readonly (readonly OpenListener[])[],
    events: AcceptingThreadsEvents,
  ): AcceptingThreads {
    const threads = new AcceptingThreads();
    for (const [index, own] of listeners.entries()) {
      threads.#startOne({ ...data, index, listeners: own, log: laneCounters() }, events);
    }
    return threads;
  }

  /**
   * Waits until all threads accept; throws an Error with the first one's reason if one cannot. The descriptors are the
   * threads' if this succeeds, the caller's if not.
   */
  async accept(): Promise<void> {
    try {
      await Promise.all(this.#threads.map(({ ready }) => ready));
      // The commit point: what one thread has accepted would be lost if another one could not start.
      this.#broadcast({ type: 'accept' });
      await Promise.all(this.#threads.map(({ listening }) => listening));
    } catch (error) {
      await this.#terminate();
      throw error;
    }
  }

  setStanding(pool: string, backend: string, standing: Standing): void {
    this.#broadcast({ type: 'standing', pool, backend, standing });
  }

  /** What all threads counted, and the sum of their states. */
  async observe(): Promise<{ stats: StatsSnapshot; status: WorkerStatus }> {
    const answers = (await Promise.all(this.#threads.map((thread) => this.#ask(thread)))).filter(
      (answer) => answer !== undefined,
    );
    return {
      stats: mergeStats(answers.map((answer) => answer.stats)),
      status: sumStatus(answers.map((answer) => answer.status)),
    };
  }

  /**
   * Ends accepting, at the addresses in `last` for good. Resolves when no connection is left, with what the threads counted
   * in their life.
   */
  async retire(last: readonly string[]): Promise<StatsSnapshot> {
    this.#retiring = true;
    this.#broadcast({ type: 'retire', last });
    const counted = await Promise.all(this.#threads.map(({ stopped }) => stopped));
    await this.#terminate();
    return mergeStats(counted.filter((stats) => stats !== undefined));
  }

  /** Makes retiring threads give up what is left after `graceMs`; those that do not answer are ended. */
  hurry(graceMs: number): void {
    this.#broadcast({ type: 'hurry', graceMs });
    setTimeout(() => void this.#terminate(), graceMs + STATS_TIMEOUT_MS).unref();
  }

  #broadcast(message: ToWorker): void {
    for (const { worker } of this.#threads) worker.postMessage(message);
  }

  async #terminate(): Promise<void> {
    this.#retiring = true;
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }

  #ask(thread: Thread): Promise<StatsAnswer | undefined> {
    const request = ++this.#request;
    return new Promise((resolve) => {
      const timer = setTimeout(() => answer(undefined), STATS_TIMEOUT_MS);
      const answer = (value: StatsAnswer | undefined): void => {
        clearTimeout(timer);
        thread.waiting.delete(request);
        resolve(value);
      };
      thread.waiting.set(request, answer);
      // A thread that has stopped meanwhile has left its counts.
      void thread.stopped.then((stats) =>
        answer(stats && { type: 'stats', request, stats, status: NOTHING }),
      );
      thread.worker.postMessage({ type: 'stats', request } satisfies ToWorker);
    });
  }

  #startOne(data: WorkerData, events: AcceptingThreadsEvents): void {
    const worker = new Worker(WORKER_FILE, { workerData: data });
    const waiting: Thread['waiting'] = new Map();
    const [ready, listening] = [new Milestone(), new Milestone()];
    const broken = (message: string): void => {
      if (listening.reached) events.failed(`accepting thread ${data.index}: ${message}`);
      else for (const milestone of [ready, listening]) milestone.miss(message);
    };
    const stopped = new Promise<StatsSnapshot | undefined>((done) => {
      worker.once('exit', (code) => {
        done(undefined);
        if (!this.#retiring) broken(`ended with code ${code}`);
      });
      worker.on('message', (message: FromWorker) => {
        if (message.type === 'stopped') done(message.stats);
      });
    });
    worker.on('error', (error) => broken(error.stack ?? error.message));
    worker.on('message', (message: FromWorker) => {
      if (message.type === 'log') logFromWorker(data.log, message.line);
      else if (message.type === 'stats') waiting.get(message.request)?.(message);
      else if (message.type === 'channel_lost') events.channelLost(message.agent);
      else if (message.type === 'moved') events.moved(message);
      else if (message.type === 'failing') events.failing(data.index, message);
      else if (message.type === 'recovered') events.recovered(data.index, message);
      else if (message.type === 'failed') broken(message.message);
      else if (message.type === 'ready') ready.reach();
      else if (message.type === 'listening') listening.reach();
    });
    this.#threads.push({ worker, ready: ready.promise, listening: listening.promise, waiting, stopped });
  }
}

/** A point that a starting thread reaches, or misses. */
class Milestone {
  reached = false;
  reach!: () => void;
  miss!: (reason: string) => void;
  readonly promise = new Promise<void>((resolve, reject) => {
    this.reach = () => {
      this.reached = true;
      resolve();
    };
    this.miss = (reason) => reject(new Error(reason));
  });

  constructor() {
    // Nobody waits for the second one when the first is missed.
    this.promise.catch(() => undefined);
  }
}
