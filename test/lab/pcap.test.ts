import { parsePcap } from './pcap';

const FILE_HEADER = 'd4c3b2a1 02000400 00000000 00000000 c8000000 01000000';
const MACS = '02fc00000002 02fc00000001';

function bytes(...hex: string[]): Buffer {
  return Buffer.from(hex.join('').replaceAll(' ', ''), 'hex');
}

/** A record at 1 s and 2 µs of a frame that was `wireLength` long. */
function record(frame: Buffer, wireLength = frame.length): Buffer {
  const header = Buffer.alloc(16);
  [1, 2, frame.length, wireLength].forEach((value, index) => header.writeUInt32LE(value, index * 4));
  return Buffer.concat([header, frame]);
}

function file(...records: Buffer[]): Buffer {
  return Buffer.concat([bytes(FILE_HEADER), ...records]);
}

const SYN = bytes(
  MACS,
  '0800',
  '4500003c 00004000 40060000 c6120101 c6130001',
  '9c40 0050 00000001 00000000 a0c2 faf0 0000 0000',
  '020405b4 0402 080a 0000000a 0000000b 01 030307',
);

const SACK = bytes(
  MACS,
  '86dd',
  '60000000 0020 06 3f 20010002000000000000000000010001 200100020000 00ff 0000000000000001',
  '9c40 0050 ffffffff 80000000 8010 0100 0000 0000 0101 050a 00000010 00000020',
);

describe('parsePcap', () => {
  test('reads a SYN and its options', () => {
    expect(parsePcap(file(record(SYN)))).toEqual([
      {
        time: 1_000_002,
        srcMac: '02:fc:00:00:00:01',
        dstMac: '02:fc:00:00:00:02',
        version: 4,
        src: '198.18.1.1',
        dst: '198.19.0.1',
        ttl: 64,
        protocol: 6,
        sport: 40_000,
        dport: 80,
        flags: 'SEC',
        seq: 1,
        ack: 0,
        window: 64_240,
        payloadLength: 0,
        options: {
          mss: 1460,
          sackOk: true,
          sackBlocks: [],
          timestamp: { value: 10, echo: 11 },
          windowScale: 7,
        },
      },
    ]);
  });

  test('reads selective acknowledgements over IPv6, addresses in canonical form', () => {
    expect(parsePcap(file(record(SACK)))[0]).toMatchObject({
      version: 6,
      src: '2001:2::1:1',
      dst: '2001:2:0:ff::1',
      ttl: 63,
      seq: 0xffffffff,
      flags: 'A',
      options: { sackBlocks: [[16, 32]] },
    });
  });

  test('takes the payload length from the wire, not from what was captured', () => {
    const large = Buffer.from(SYN);
    large.writeUInt16BE(60 + 20_000, 16);
    expect(parsePcap(file(record(large, 20_074)))[0]?.payloadLength).toBe(20_000);
    // More than an IP length can say: several segments in one.
    large.writeUInt16BE(0, 16);
    expect(parsePcap(file(record(large, 100_074)))[0]?.payloadLength).toBe(100_000);
  });

  test('gives other protocols without TCP fields, and leaves out what is not IP', () => {
    const udp = Buffer.from(SYN);
    udp.writeUInt8(17, 23);
    const arp = bytes(MACS, '0806', '0001 0800 0604 0001');
    const packets = parsePcap(file(record(arp), record(udp)));
    expect(packets).toHaveLength(1);
    expect(packets[0]).toMatchObject({ protocol: 17, sport: 0, flags: '', payloadLength: 40 });
  });

  test('leaves out a last record that is not complete', () => {
    const whole = file(record(SYN), record(SACK));
    expect(parsePcap(whole)).toHaveLength(2);
    for (let cut = 1; cut <= 16 + SACK.length; cut++)
      expect(parsePcap(whole.subarray(0, -cut))).toHaveLength(1);
  });

  test('refuses what is not Ethernet in pcap', () => {
    expect(() => parsePcap(Buffer.alloc(10))).toThrow('not Ethernet in pcap');
    expect(() => parsePcap(bytes(FILE_HEADER.replace(/01000000$/, '71000000')))).toThrow(
      'not Ethernet in pcap',
    );
  });
});
