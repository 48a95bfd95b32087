import { BACKEND_PORT, type Competitor } from './competitor';

/** The clients straight to the backends: nothing in between can be faster. */
export const direct: Competitor = {
  name: 'direct',
  proxy: false,
  version: () => Promise.resolve(process.version),
  start: ({ lab }) =>
    Promise.resolve({
      targets: lab.backends.map(({ address4 }) => `${address4}:${BACKEND_PORT}`),
      pid: undefined,
    }),
};
