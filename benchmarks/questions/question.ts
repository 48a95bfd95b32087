import type { Bench } from '../bench';
import type { Competitor } from '../competitors/competitor';
import type { Bars } from '../plot';

/** What `npm run bench` was asked for. */
export interface Context {
  readonly rounds: number;
  /** Of one measurement. */
  readonly seconds: number;
  readonly competitors: readonly Competitor[];
  /** The lab with all competitors, the same for every question that wants it; started when first asked for. */
  bench(): Promise<Bench>;
  /** Says what is being done, on a terminal. */
  readonly progress: (text: string) => void;
}

/** What came out. */
export interface Answer {
  /** Markdown. */
  readonly table: string;
  /** For the JSON file: everything that was measured. */
  readonly data: unknown;
  /** For the picture. */
  readonly bars: readonly Bars[];
}

/** One row, or a group of rows, of the results. */
export interface Question {
  readonly name: string;
  /** For a reader. */
  readonly title: string;
  readonly ask: (context: Context) => Promise<Answer>;
}
