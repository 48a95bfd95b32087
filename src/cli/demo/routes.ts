import type { Cluster } from '../../lab/cluster';
import type { Claim } from './claim';
import { BACKENDS } from './scene';

/** A kind of request, and how many of its REQUESTS each backend should answer. */
interface Route {
  readonly match: string;
  readonly path: string;
  readonly header?: string;
  readonly expected: Answers;
  readonly rule: string;
}

type Answers = Readonly<Record<(typeof BACKENDS)[number], number>>;

/** Per route; even, so that taking turns divides it evenly. */
const REQUESTS = 6;

const ROUTES: readonly Route[] = [
  { match: 'path /api', path: '/api/items', expected: { b1: REQUESTS, b2: 0 }, rule: 'b1 alone' },
  {
    match: 'header x-tenant: gold',
    path: '/items',
    header: 'x-tenant: gold',
    expected: { b1: 0, b2: REQUESTS },
    rule: 'b2 alone',
  },
  { match: 'everything else', path: '/', expected: { b1: REQUESTS / 2, b2: REQUESTS / 2 }, rule: 'in turn' },
];

/** Each route's requests, made by curl, are answered by its own backends. */
export async function routes(cluster: Cluster): Promise<Claim[]> {
  const results = [];
  for (const route of ROUTES) results.push(await ask(cluster, route));
  const lines = results.map(({ match, answered, rule }) => {
    const counts = BACKENDS.map((backend) => `${backend} ${answered[backend]}`);
    return `${match.padEnd(22)} -> ${counts.join('  ')}   ${rule}`;
  });
  const facts = {
    routes: results.map(({ match, expected, answered, ok }) => ({
      match,
      asked: REQUESTS,
      expected,
      answered,
      ok,
    })),
  };
  return [{ name: 'routes', ok: results.every(({ ok }) => ok), lines, facts }];
}

async function ask(cluster: Cluster, route: Route): Promise<Route & { answered: Answers; ok: boolean }> {
  // Of one connection requests would take no turns: it stays where it is as long as they belong there.
  const header = ['-H', 'Connection: close', ...(route.header === undefined ? [] : ['-H', route.header])];
  const url = `http://${cluster.lab.vip4}${route.path}?[1-${REQUESTS}]`;
  const { stdout } = await cluster.client.run([...['curl', '-sS', '-m', '5', '-w', '\n', url], ...header]);
  const answered = { b1: countAnswers(stdout, 'b1'), b2: countAnswers(stdout, 'b2') };
  const ok = BACKENDS.every((backend) => answered[backend] === route.expected[backend]);
  return { ...route, answered, ok };
}

function countAnswers(bodies: string, backend: string): number {
  return bodies.split('\n').filter((body) => body.includes(`"node":"${backend}"`)).length;
}
