import type { Load } from '../bench';

/** One row of the results: the same load on every competitor. */
export interface Question {
  readonly name: string;
  /** For a reader. */
  readonly title: string;
  readonly load: Load;
  /** What decides: octets where responses are large. */
  readonly measure: 'requestsPerSecond' | 'bytesPerSecond';
}
