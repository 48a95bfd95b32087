import type { Competitor } from './competitors/competitor';
import type { Context } from './questions/question';

export interface Turns<T> {
  /** For the progress line. */
  readonly name: string;
  /** Before the first round; its figures are dropped. */
  readonly warmUp: (competitor: Competitor) => Promise<unknown>;
  readonly measure: (competitor: Competitor) => Promise<T>;
}

/**
 * Every competitor once, then every competitor again (A B C B C A ...): what changes on the machine in the course of time
 * falls on all of them. Gives what was measured of each, a value for each round.
 */
export async function inRounds<T>(
  { competitors, rounds, progress }: Context,
  { name, warmUp, measure }: Turns<T>,
): Promise<ReadonlyMap<Competitor, readonly T[]>> {
  for (const competitor of competitors) {
    progress(`${name}: warm-up of ${competitor.name}`);
    await warmUp(competitor);
  }
  const measured = new Map<Competitor, T[]>(competitors.map((competitor) => [competitor, []]));
  for (let round = 0; round < rounds; round++) {
    const first = round % competitors.length;
    for (const competitor of [...competitors.slice(first), ...competitors.slice(0, first)]) {
      progress(`${name}: round ${round + 1} of ${rounds}, ${competitor.name}`);
      measured.get(competitor)?.push(await measure(competitor));
    }
  }
  return measured;
}
