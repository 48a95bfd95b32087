/** How fast are requests that have a connection each? Every one of them costs Baton a handoff. */
import { loadQuestion } from './load-question';
import type { Question } from './question';

const KIB = 1024;

export const newConnections: readonly Question[] = [
  loadQuestion({
    name: 'new-1k',
    title: '1 KiB, a connection each, c=64',
    load: { path: `/${KIB}`, connections: 64, close: true },
    measure: 'requestsPerSecond',
  }),
  loadQuestion({
    name: 'new-64k',
    title: '64 KiB, a connection each, c=32',
    load: { path: `/${64 * KIB}`, connections: 32, close: true },
    measure: 'requestsPerSecond',
  }),
  loadQuestion({
    name: 'new-1m',
    title: '1 MiB, a connection each, c=16',
    load: { path: `/${1024 * KIB}`, connections: 16, close: true },
    measure: 'requestsPerSecond',
  }),
];
