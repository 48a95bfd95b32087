import type { Context } from './questions/question';

export interface Turns<M, T> {
  /** For the progress line. */
  readonly name: string;
  /** Before the first round; its figures are dropped. */
  readonly warmUp?: (member: M) => Promise<unknown>;
  readonly measure: (member: M) => Promise<T>;
}

/**
 * Every member once, then every member again (A B C B C A ...): what changes on the machine in the course of time falls on
 * all of them. Gives what was measured of each, a value for each round.
 */
export async function inRounds<M extends { readonly name: string }, T>(
  members: readonly M[],
  { rounds, progress }: Pick<Context, 'rounds' | 'progress'>,
  { name, warmUp, measure }: Turns<M, T>,
): Promise<ReadonlyMap<M, readonly T[]>> {
  if (warmUp !== undefined) {
    for (const member of members) {
      progress(`${name}: warm-up of ${member.name}`);
      await warmUp(member);
    }
  }
  const measured = new Map<M, T[]>(members.map((member) => [member, []]));
  for (let round = 0; round < rounds; round++) {
    const first = round % members.length;
    for (const member of [...members.slice(first), ...members.slice(0, first)]) {
      progress(`${name}: round ${round + 1} of ${rounds}, ${member.name}`);
      measured.get(member)?.push(await measure(member));
    }
  }
  return measured;
}
