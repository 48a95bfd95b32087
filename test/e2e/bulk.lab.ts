/** Bulk transfers: a handoff in the first flight of an upload loses nothing, and no byte of a body crosses the front. */
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cluster } from '../../src/lab/cluster';
import { amount } from '../soak';
import {
  APP,
  countsOf,
  curl,
  expectHandedOff,
  inUrl,
  megabytesPerSecond,
  percentile,
  percentiles,
  report,
  runClient,
  type Counts,
  type LoadResult,
} from './support';

const MIB = 1024 * 1024;
const UPLOAD_BYTES = 32 * MIB;
const DOWNLOAD_BYTES = 64 * MIB;
const PARALLEL = 6;
const TIMEOUT_MS = 120_000;

/** Less than the shortest timer of TCP, and far more than 4 MiB take. */
const STALL_MS = 150;

/** Of 40: a retransmission timer may well run out once in a while, when the last packets before the freeze are lost. */
const MOST_STALLED = 4;

describe('bulk transfers', () => {
  let cluster: Cluster;
  let before: Counts;

  beforeAll(async () => {
    cluster = await Cluster.start({ app: APP });
  }, 30_000);

  afterAll(() => cluster.destroy());

  beforeEach(async () => {
    before = await countsOf(cluster);
  });

  describe.each([
    { family: 'IPv4', vip: 'vip4', uploads: amount(40, 180), downloads: amount(20, 100) },
    { family: 'IPv6', vip: 'vip6', uploads: 20, downloads: 10 },
  ] as const)('over $family', ({ family, vip, uploads, downloads }) => {
    test.each([
      { direction: 'upload', count: uploads, bytes: UPLOAD_BYTES },
      { direction: 'download', count: downloads, bytes: DOWNLOAD_BYTES },
    ])(
      `$count ${family} transfers: $direction of $bytes bytes`,
      async ({ direction, count, bytes }) => {
        const load = { direction, address: cluster.lab[vip], count, parallel: PARALLEL, bytes };
        const result = await runClient<LoadResult>(cluster.client, 'transfers.mjs', load, TIMEOUT_MS);
        report(
          `${family} ${direction}s: ${result.ms.length} of ${bytes / MIB} MiB, checksums right, ` +
            `${megabytesPerSecond(result, bytes)}, ${percentiles(result.ms)}`,
        );
        expect(result.errors).toEqual([]);
        expect(result.ms).toHaveLength(count);
        await expectHandedOff(cluster, before, count);
      },
      TIMEOUT_MS,
    );
  });

  // A sender that has filled the front's receive buffer asks again after 200 ms if nobody tells it that there is room.
  test(
    '40 uploads, one at a time, do not stall at the handoff',
    async () => {
      const load = { direction: 'upload', count: 40, parallel: 1, bytes: 4 * MIB };
      const upload = (address: string, port: number): Promise<LoadResult> =>
        runClient<LoadResult>(cluster.client, 'transfers.mjs', { ...load, address, port });
      const direct = await upload(cluster.lab.host('b1').address4, 8080);
      const handedOver = await upload(cluster.lab.vip4, 80);
      const stall = percentile(direct.ms, 0.5) + STALL_MS;
      const stalled = handedOver.ms.filter((ms) => ms > stall).length;
      report(`uploads of 4 MiB to a backend itself: ${percentiles(direct.ms)}`);
      report(`uploads of 4 MiB with a handoff: ${percentiles(handedOver.ms)}, ${stalled} stalled`);
      expect([...direct.errors, ...handedOver.errors]).toEqual([]);
      expect(stalled).toBeLessThanOrEqual(MOST_STALLED);
      await expectHandedOff(cluster, before, load.count);
    },
    TIMEOUT_MS,
  );

  // Without the header curl waits for "100 Continue" before it sends a body of this size.
  test.each([
    { how: 'after 100 Continue', args: [] },
    { how: 'at once', args: ['-H', 'Expect:'] },
  ])(
    '10 uploads of a file by curl, $how',
    async ({ how, args }) => {
      const data = randomBytes(UPLOAD_BYTES);
      const file = join(cluster.lab.dir, 'upload.bin');
      writeFileSync(file, data);
      const sha256 = createHash('sha256').update(data).digest('hex');
      const url = `http://${inUrl(cluster.lab.vip4)}/sum`;
      const answers: Record<string, unknown>[] = [];
      const lane = async (): Promise<void> => {
        for (let k = 0; k < 2; k++) {
          const answer = await curl(
            cluster.client,
            [...args, '-m', '20', '--data-binary', `@${file}`, url],
            30_000,
          );
          answers.push(JSON.parse(answer) as Record<string, unknown>);
        }
      };
      await Promise.all(Array.from({ length: 5 }, lane));
      report(`curl uploads ${how}: ${answers.length} of ${UPLOAD_BYTES / MIB} MiB, checksums right`);
      const right = { bytes: UPLOAD_BYTES, sha256, client: cluster.client.address4 };
      expect(answers).toEqual(Array.from({ length: 10 }, () => expect.objectContaining(right) as unknown));
      await expectHandedOff(cluster, before, 10);
    },
    TIMEOUT_MS,
  );
});
