import { DurationHistogram } from '../observe/duration-histogram';
import type { StatsSnapshot } from '../observe/stats';
import type { MoveReason } from '../wire/hand-back';
import { Counters } from './counters';
import type { MoveResult } from './moves';

/** What an accepting thread counts of connections that agents hand back. */
export class MoveCounts {
  /** By reason and result, with a blank between them. */
  readonly #counts = new Counters();
  readonly #durations = new Map<MoveReason, DurationHistogram>();

  add(reason: MoveReason, result: MoveResult): void {
    this.#counts.add(`${reason} ${result}`);
  }

  /** A move has succeeded, and taken so many seconds. */
  moved(reason: MoveReason, seconds: number): void {
    this.add(reason, 'ok');
    const duration = this.#durations.get(reason) ?? new DurationHistogram();
    this.#durations.set(reason, duration);
    duration.observe(seconds);
  }

  stats(): StatsSnapshot {
    const samples = [...this.#counts.entries()].map(([key, value]) => {
      const [reason = '', result = ''] = key.split(' ');
      // A request that belongs elsewhere takes its connection along; all else is somebody's wish.
      return {
        name: reason === 'route' ? 'handbacks_total' : 'moves_total',
        labels: { reason, result },
        value,
      };
    });
    const histograms = [...this.#durations].map(([reason, duration]) =>
      duration.sample('move_duration_seconds', { reason }),
    );
    return { samples, histograms };
  }
}
