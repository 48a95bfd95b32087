import type { Cluster } from '../../src/lab/cluster';

/** A way to bring clients' requests to the two backends. */
export interface Competitor {
  readonly name: string;
  /** Whether it relays octets: the fastest of those is "best proxy". */
  readonly proxy: boolean;
  /** What it runs, for the results. */
  version(): Promise<string>;
  /** Starts it on the front's host; it runs until the lab is destroyed, and costs nothing while nobody asks. */
  start(cluster: Cluster): Promise<Running>;
}

export interface Running {
  /** Where the clients connect, as `host:port`: client k to the k-th, and from the first again. */
  readonly targets: readonly string[];
  /** The process on the front's host, with all its children; undefined where there is none. */
  readonly pid: number | undefined;
}

/** Where the backends' application listens. */
export const BACKEND_PORT = 8080;
