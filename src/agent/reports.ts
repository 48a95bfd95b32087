import { isDeepStrictEqual } from 'node:util';
import type { Channel } from '../wire/channel';
import type { Report } from '../wire/report';

/** The reports that one channel gets: the first at once, others when something has changed. */
export class Reports {
  readonly #timer: NodeJS.Timeout;
  #last: Report;

  constructor(
    private readonly channel: Pick<Channel, 'sendReport'>,
    intervalMs: number,
    private readonly now: () => Report,
  ) {
    this.#last = now();
    channel.sendReport(this.#last);
    this.#timer = setInterval(() => this.tell(), intervalMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Reports if something has changed. */
  tell(): void {
    const report = this.now();
    if (isDeepStrictEqual(report, this.#last)) return;
    this.#last = report;
    this.channel.sendReport(report);
  }
}
