/**
 * What do clients see of a hundred moves in a second? Of requests that come while their connection moves, or just behind that,
 * against those of other connections meanwhile, which have the same machine; and against the same load where nothing moves.
 */
import { Cluster } from '../../src/lab/cluster';
import { asksAndMoves, type AskedAndMoved } from '../../test/e2e/moving';
import { APP } from '../../test/e2e/support';
import { inRounds } from '../rounds';
import { formatSpread, percentile, sideBySide, spreadOf } from '../spread';
import { markdown } from '../table';
import type { Answer, Context, Question } from './question';

const CONNECTIONS = 200;
const PER_SECOND = 100;
const SHARES = [0.5, 0.95, 0.99];
const WARM_UP_SECONDS = 3;
/** What the kernel of a client waits for an acknowledgement, at least: it has met a connection that was frozen. */
const RETRANSMISSION_MS = 200;

interface Way {
  readonly name: string;
  readonly perSecond: number;
}

const MOVING: Way = { name: `${PER_SECOND} moves/s`, perSecond: PER_SECOND };
const STILL: Way = { name: 'no moves', perSecond: 0 };

export const moves: Question = {
  name: 'moves',
  title: 'What clients see of a hundred moves in a second: milliseconds until a request is answered',
  ask,
};

async function ask(context: Context): Promise<Answer> {
  const cluster = await Cluster.start({ app: APP, backends: 3, clientAddresses: 4 });
  try {
    const see = ({ perSecond }: Way, seconds: number): Promise<AskedAndMoved> =>
      asksAndMoves(cluster, { connections: CONNECTIONS, seconds, perSecond });
    const measured = await inRounds([MOVING, STILL], context, {
      name: 'moves',
      warmUp: () => see(MOVING, WARM_UP_SECONDS),
      measure: (way) => see(way, context.seconds),
    });
    const [moving, still] = [measured.get(MOVING) ?? [], measured.get(STILL) ?? []];
    return { table: tableOf(moving, still), data: { moving, still }, bars: [] };
  } finally {
    await cluster.destroy();
  }
}

function tableOf(moving: readonly AskedAndMoved[], still: readonly AskedAndMoved[]): string {
  const behind = moving.map(({ changedMs }) => changedMs);
  const others = moving.map(({ keptMs }) => keptMs);
  const unmoved = still.map(({ ms }) => ms);
  const spread = (values: readonly number[]): string =>
    formatSpread(spreadOf(values), (each) => each.toFixed(1));
  const row = (title: string, rounds: readonly (readonly number[])[]): string[] => [
    title,
    ...SHARES.map((share) => spread(rounds.map((ms) => percentile(ms, share)))),
    `${rounds.flat().filter((ms) => ms >= RETRANSMISSION_MS).length} of ${rounds.flat().length}`,
  ];
  const later = (than: string, rounds: readonly (readonly number[])[]): string[] => [
    `behind a move, later than ${than}`,
    ...SHARES.map((share) =>
      spread(
        sideBySide(behind, rounds).map(([ms, others]) => percentile(ms, share) - percentile(others, share)),
      ),
    ),
    '',
  ];
  const lost = [...moving, ...still].reduce(
    (sum, { wrong, reset, closed, unanswered }) => sum + wrong + reset + closed + unanswered,
    0,
  );
  return `${markdown(
    ['', 'p50', 'p95', 'p99', `${RETRANSMISSION_MS} ms or more`],
    [
      row('behind a move', behind),
      row('of the other connections meanwhile', others),
      row('without moves', unmoved),
      later('the others', others),
      later('without moves', unmoved),
    ],
  )}\n\n${moving.reduce((sum, { moved }) => sum + moved, 0)} moves; ${lost} requests or connections lost.`;
}
