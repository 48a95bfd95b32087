/**
 * A name server for tests, over UDP and TCP (RFC 1035; SRV of RFC 2782). It knows what it is told: each line of its input is
 * a zone as JSON, which takes the place of the one before and is answered with the line `zone N`.
 *
 *   node name-server.cjs ADDRESS PORT      says `listening PORT`; port 0 takes any that is free
 *
 * A zone maps `NAME/TYPE` (names in lower case, without a final dot) to what is answered:
 *
 *   { "ttl": 1, "data": ["198.18.0.21"] }                    A, AAAA
 *   { "ttl": 1, "data": ["b1.internal"] }                    CNAME: what it leads to comes with it
 *   { "ttl": 1, "data": [[priority, weight, port, target]] } SRV
 *   "SERVFAIL", "REFUSED", "silence"
 *
 * What it does not know is NXDOMAIN, or an answer without records where the name has others. Every question is a line
 * `asked NAME/TYPE udp|tcp`.
 */
const dgram = require('node:dgram');
const net = require('node:net');
const readline = require('node:readline');

const TYPES = { A: 1, CNAME: 5, AAAA: 28, SRV: 33 };
const TYPE_NAMES = new Map(Object.entries(TYPES).map(([name, number]) => [number, name]));
const CLASS_IN = 1;
const RCODES = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 };
/** Response, recursion desired and available. */
const FLAGS = 0x8180;
const TRUNCATED = 0x0200;
/** What fits into a packet everywhere: the size that c-ares announces by EDNS. */
const MOST_UDP = 1232;

let zone = new Map();
let zones = 0;

function u16(...numbers) {
  const bytes = Buffer.alloc(2 * numbers.length);
  numbers.forEach((number, index) => bytes.writeUInt16BE(number, 2 * index));
  return bytes;
}

function nameBytes(name) {
  const labels = name.split('.').filter((label) => label !== '');
  return Buffer.concat([
    ...labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, 'latin1')]),
    Buffer.of(0),
  ]);
}

function addressBytes(text) {
  if (net.isIPv4(text)) return Buffer.from(text.split('.').map(Number));
  const [left = '', right] = text.split('::');
  const groups = (side) =>
    side === undefined || side === '' ? [] : side.split(':').map((group) => parseInt(group, 16));
  const [head, tail] = [groups(left), groups(right)];
  return u16(...head, ...new Array(8 - head.length - tail.length).fill(0), ...tail);
}

function data(type, datum) {
  if (type === 'CNAME') return nameBytes(datum);
  if (type !== 'SRV') return addressBytes(datum);
  const [priority, weight, port, target] = datum;
  return Buffer.concat([u16(priority, weight, port), nameBytes(target)]);
}

function records(name, type, { ttl, data: all }) {
  return all.map((datum) => {
    const bytes = data(type, datum);
    return Buffer.concat([
      nameBytes(name),
      u16(TYPES[type], CLASS_IN, ttl >>> 16, ttl & 0xffff, bytes.length),
      bytes,
    ]);
  });
}

/** Code and records for a question; undefined for silence. */
function answerTo(name, type) {
  const found = zone.get(`${name}/${type}`);
  if (found === 'silence') return undefined;
  if (typeof found === 'string') return { rcode: RCODES[found], answers: [] };
  if (found !== undefined) return { rcode: RCODES.NOERROR, answers: records(name, type, found) };
  const alias = zone.get(`${name}/CNAME`);
  if (alias !== undefined) {
    const rest = answerTo(alias.data[0], type);
    return rest && { ...rest, answers: [...records(name, 'CNAME', alias), ...rest.answers] };
  }
  const others = [...zone.keys()].some((key) => key.startsWith(`${name}/`));
  return { rcode: others ? RCODES.NOERROR : RCODES.NXDOMAIN, answers: [] };
}

/** The response to a query with one question, of at most `most` bytes; undefined for silence. */
function respond(query, most, transport) {
  const labels = [];
  let at = 12;
  while (query[at] > 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + query[at]));
    at += 1 + query[at];
  }
  const name = labels.join('.').toLowerCase();
  const number = query.readUInt16BE(at + 1);
  const type = TYPE_NAMES.get(number) ?? String(number);
  console.log(`asked ${name}/${type} ${transport}`);
  const answer = answerTo(name, type);
  if (answer === undefined) return undefined;
  const question = query.subarray(12, at + 5);
  const response = (flags, answers) =>
    Buffer.concat([query.subarray(0, 2), u16(flags, 1, answers.length, 0, 0), question, ...answers]);
  const whole = response(FLAGS | answer.rcode, answer.answers);
  return whole.length <= most ? whole : response(FLAGS | TRUNCATED, []);
}

function serve(address, wanted) {
  const udp = dgram.createSocket(net.isIPv6(address) ? 'udp6' : 'udp4');
  udp.on('message', (query, { address: peer, port }) => {
    const response = respond(query, MOST_UDP, 'udp');
    if (response !== undefined) udp.send(response, port, peer);
  });
  const tcp = net.createServer((socket) => {
    let received = Buffer.alloc(0);
    socket.on('error', () => socket.destroy());
    socket.on('data', (piece) => {
      received = Buffer.concat([received, piece]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0);
        const response = respond(received.subarray(2, end), 65_535, 'tcp');
        if (response !== undefined) socket.write(Buffer.concat([u16(response.length), response]));
        received = received.subarray(end);
      }
    });
  });
  // Both have the same port, and one that the kernel has chosen for the one may be taken for the other.
  tcp.on('listening', () => udp.bind(tcp.address().port, address));
  udp.on('listening', () => console.log(`listening ${udp.address().port}`));
  udp.on('error', (error) => {
    if (wanted !== 0 || error.code !== 'EADDRINUSE') throw error;
    tcp.close(() => tcp.listen(wanted, address));
  });
  tcp.listen(wanted, address);
}

const [address, port] = process.argv.slice(2);
serve(address, Number(port));
const input = readline.createInterface({ input: process.stdin });
input.on('line', (line) => {
  zone = new Map(Object.entries(JSON.parse(line)));
  zones += 1;
  console.log(`zone ${zones}`);
});
input.on('close', () => process.exit(0));
