import { join } from 'node:path';
import { Lab } from '../../src/lab/lab';
import { VIP4, VIP6 } from '../../src/lab/topology';
import { ClientSockets } from '../e2e/faults/client-sockets';
import type { RawConnection } from '../e2e/faults/raw-connection';
import { capture } from '../lab/capture';
import type { Packet } from '../lab/pcap';

const FIXTURE = join(__dirname, 'farewell.fixture.cjs');
const DIST = join(__dirname, '../../dist');
const EADDRNOTAVAIL = 99;

let lab: Lab;
let clients: ClientSockets;

beforeAll(async () => {
  lab = await Lab.create({ backends: 0 });
  clients = await ClientSockets.start(lab.host('c1'));
}, 30_000);

afterAll(async () => {
  await clients.stop();
  await lab.destroy();
});

interface Lost {
  readonly connection: RawConnection;
  /** What speaking came to. */
  readonly result: number;
}

/** A connection that is lost without a word, and what is then said in its name. */
async function lose(vip: string, name: string): Promise<Lost> {
  const owner = lab.host('f1').spawn([process.execPath, FIXTURE, DIST, vip, name]);
  const port = Number((await owner.waitForLine('listening', 10_000)).split(' ')[1]);
  const connection = await clients.connect({ host: vip, port });
  const { result } = JSON.parse(await owner.waitForLine('result', 10_000)) as { result: number };
  return { connection, result };
}

/** What the client sends after the handshake, unasked by its application. */
function answers(packets: readonly Packet[], port: number): Packet[] {
  return packets.filter(({ sport, flags }) => sport === port && !flags.includes('S')).slice(1);
}

describe.each([VIP4, VIP6])('at %s', (vip) => {
  test('a reset ends the connection in the eyes of a client that waits', async () => {
    const { connection, result } = await lose(vip, 'reset');
    expect(result).toBe(0);
    expect(await connection.ended()).toBe('RST');
  }, 20_000);

  test.each(['probe', 'probe with old numbers'])(
    'a %s makes the client speak, whoever hears it',
    async (name) => {
      const seen = await capture(lab, lab.host('c1'), { filter: 'tcp' });
      const { connection, result } = await lose(vip, name);
      expect(result).toBe(0);
      const { localPort } = connection;
      // Nobody has the connection, so the client's next packet meets a RST.
      await connection.send('anybody there?');
      expect(await connection.ended()).toBe('RST');
      const [answer, ...rest] = answers(await seen.stop(), localPort);
      expect(answer).toMatchObject({ payloadLength: 0, flags: 'A' });
      expect(rest[0]?.payloadLength).toBeGreaterThan(0);
    },
    20_000,
  );

  test('there is no speaking in the name of a connection that this host has', async () => {
    const { connection, result } = await lose(vip, 'probe of a connection that lives');
    expect(result).toBe(-EADDRNOTAVAIL);
    await connection.send('anybody there?');
    expect(await connection.ended()).toBe('FIN');
    expect(connection.text).toBe('alive');
  }, 20_000);
});
