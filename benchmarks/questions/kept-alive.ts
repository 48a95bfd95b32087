/** How fast are responses on connections that stay? The octets do not pass Baton's front. */
import { loadQuestion } from './load-question';
import type { Question } from './question';

const KIB = 1024;
const MIB = 1024 * KIB;

export const keptAlive: readonly Question[] = [
  loadQuestion({
    name: 'large-16m',
    title: '16 MiB, kept alive, c=4',
    load: { path: `/${16 * MIB}`, connections: 4, close: false },
    measure: 'bytesPerSecond',
  }),
  loadQuestion({
    name: 'large-1m',
    title: '1 MiB, kept alive, c=16',
    load: { path: `/${MIB}`, connections: 16, close: false },
    measure: 'bytesPerSecond',
  }),
  loadQuestion({
    name: 'medium-64k',
    title: '64 KiB, kept alive, c=32',
    load: { path: `/${64 * KIB}`, connections: 32, close: false },
    measure: 'bytesPerSecond',
  }),
  loadQuestion({
    name: 'small-1k',
    title: '1 KiB, kept alive, c=64',
    load: { path: `/${KIB}`, connections: 64, close: false },
    measure: 'requestsPerSecond',
  }),
];
