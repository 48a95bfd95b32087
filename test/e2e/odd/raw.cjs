/**
 * Clients whose packets are the test's own, all at once: `node raw.cjs JSON`.
 *
 * Options: { family, source, target, mac, to, cases: [{ name, scenario, sport, ... }, ...] }, the dots being for the scenario.
 * Scenarios that have steps in common say `waiting` when all have got there, and go on at the next line of input. Prints
 * a line of JSON for each case: { name, end, by, largest, ... }, or { name, error }.
 */
const { createHash } = require('node:crypto');
const { createInterface } = require('node:readline');
const { setTimeout: sleep } = require('node:timers/promises');
const { FLAG, option, RawTcp, Wire } = require('./raw-tcp.cjs');

const { cases, mac, to, ...endpoints } = JSON.parse(process.argv[2]);
const { family } = endpoints;
const octets = (text) => Buffer.from(text.replaceAll(':', ''), 'hex');
const front = octets(to);
const wire = new Wire('eth0', octets(mac));

const UPLOAD = 20_000;
const DOWNLOAD = 60_000;
const MSS = family === 4 ? 1460 : 1440;
/** What comes without an MSS option: RFC 9293 section 3.7.1. */
const DEFAULT_MSS = family === 4 ? 536 : 1220;
const USUAL = Buffer.concat([option.mss(MSS), option.sackPermitted(), option.windowScale(7)]);
/** Longer than a handoff takes. */
const SETTLE_MS = 50;
/** A destination options header with nothing in it (RFC 8200 section 4.6); a segment follows. */
const EXTENSION = { protocol: 60, bytes: Buffer.from([6, 0, 1, 4, 0, 0, 0, 0]) };
const URGENT = { flags: FLAG.ack | FLAG.urg };

let generate;
const bytes = (length, seed) => Buffer.concat([...generate(length, seed)]);
const sha256 = (data) => createHash('sha256').update(data).digest('hex');

function check(what, actual, expected) {
  if (actual !== expected) throw new Error(`${what} is ${actual} and not ${expected}`);
}

/** An upload: its head, and its body in full. */
const post = (length = UPLOAD) =>
  Buffer.from(`POST /sum HTTP/1.1\r\nHost: raw\r\nContent-Length: ${length}\r\n\r\n`);
const data = bytesOnce(3);
const get = (length = DOWNLOAD) =>
  `GET /bytes?n=${length}&seed=5 HTTP/1.1\r\nHost: raw\r\nConnection: close\r\n\r\n`;

/** The body of an upload, made once for each length. */
function bytesOnce(seed) {
  const made = new Map();
  return (length = UPLOAD) => {
    if (!made.has(length)) made.set(length, bytes(length, seed));
    return made.get(length);
  };
}

/** The `index`-th response, when it is whole. */
function response(tcp, index) {
  let rest = tcp.received;
  for (let k = 0; ; k++) {
    const end = rest.indexOf('\r\n\r\n') + 4;
    if (end < 4) return undefined;
    const head = rest.toString('latin1', 0, end);
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1]);
    if (rest.length < end + length) return undefined;
    if (k === index) return { status: Number(head.slice(9, 12)), body: rest.subarray(end, end + length) };
    rest = rest.subarray(end + length);
  }
}

async function answer(tcp, index) {
  await tcp.until(() => response(tcp, index) !== undefined || tcp.reset);
  const { status, body } = response(tcp, index) ?? {};
  if (status === undefined) throw new Error(`connection reset; ${tcp}`);
  check('status', status, 200);
  return body;
}

async function uploaded(tcp, length = UPLOAD) {
  const sum = JSON.parse(await answer(tcp, 0));
  check('octets at the server', sum.bytes, length);
  check('checksum at the server', sum.sha256, sha256(data(length)));
}

async function downloaded(tcp, index, length = DOWNLOAD) {
  const body = await answer(tcp, index);
  check('checksum at the client', sha256(body), sha256(bytes(length, 5)));
}

/** Everything that was sent is acknowledged, or a server that has closed already has answered the last packet with RST. */
const allTaken = (tcp) => tcp.until(() => tcp.acknowledged === tcp.next || tcp.reset);

/** The server has closed; so does the client. */
async function close(tcp) {
  await tcp.until(() => tcp.finished || tcp.reset);
  check('whether the server closed in peace', tcp.finished, true);
  tcp.finish();
  await allTaken(tcp);
}

/** A download on a connection that has had its upload, and its end. */
async function downloadAndClose(tcp, write, length) {
  tcp.write(get(length), write);
  await downloaded(tcp, 1, length);
  await close(tcp);
}

async function transfer(tcp, { upload = UPLOAD, download = DOWNLOAD, ...write } = {}) {
  tcp.write(Buffer.concat([post(upload), data(upload)]), write);
  await uploaded(tcp, upload);
  await downloadAndClose(tcp, write, download);
}

/** Sends the head and 5,000 octets of an upload, and waits until a backend has the connection. */
async function halfUpload(tcp) {
  await tcp.open(USUAL);
  tcp.write(Buffer.concat([post(), data().subarray(0, 5_000)]));
  await allTaken(tcp);
  await sleep(SETTLE_MS);
  return data().subarray(5_000);
}

/** Connections from the SYN to the end. What a scenario returns goes into its result. */
const WHOLE = {
  async usual(tcp) {
    await tcp.open(USUAL);
    await transfer(tcp);
  },

  async withoutOptions(tcp) {
    await tcp.open();
    await transfer(tcp);
    return { asked: DEFAULT_MSS };
  },

  async timestampsAlone(tcp) {
    tcp.timestamps = true;
    await tcp.open(Buffer.concat([option.mss(MSS), option.timestamps(1, 0)]));
    await transfer(tcp);
  },

  /** So many small packets at once that a larger download would overflow a virtual cable's queue of 1,000. */
  async tinyMss(tcp, { mss }) {
    await tcp.open(option.mss(mss));
    await transfer(tcp, { download: 20_000 });
    return { asked: mss };
  },

  async extensionHeader(tcp) {
    tcp.extension = EXTENSION;
    await WHOLE.usual(tcp);
  },

  async oneByteSegments(tcp) {
    await tcp.open(USUAL);
    await transfer(tcp, { upload: 500, size: 1 });
  },

  async lastSegmentFirst(tcp) {
    await tcp.open(USUAL);
    await transfer(tcp, { size: 1_000, reverse: true });
  },

  /** The second segment is lost: what lies behind it is in the front's hands at the handoff, and has to come again. */
  async gapAtTheHandoff(tcp) {
    await tcp.open(USUAL);
    tcp.loses = (index) => index === 1;
    await transfer(tcp, { size: 1_000 });
  },

  async everyThirdSegmentLost(tcp) {
    await tcp.open(USUAL);
    tcp.loses = (index) => index % 3 === 1;
    await transfer(tcp);
  },

  async dataInTheSyn(tcp, { cookie }) {
    const options = cookie ? Buffer.concat([USUAL, option.fastOpen()]) : USUAL;
    await tcp.open(options, Buffer.concat([post(), data().subarray(0, 500)]));
    tcp.write(data().subarray(500));
    await uploaded(tcp);
    await downloadAndClose(tcp);
    return { takenAtOnce: tcp.tookPayload };
  },

  async zeroWindow(tcp) {
    await tcp.open(USUAL);
    tcp.window = 0;
    tcp.write(get());
    await sleep(400);
    const early = tcp.receivedBytes;
    tcp.announce(65_535);
    await downloaded(tcp, 0);
    await close(tcp);
    return { early };
  },

  /** Takes back what it has announced, with every other packet. */
  async shrinkingWindow(tcp) {
    await tcp.open(option.mss(MSS));
    const windows = [4_000, 100, 2_000, 0, 500, 1, 3_000, 0];
    let packets = 0;
    Object.defineProperty(tcp, 'window', { get: () => windows[packets++ % windows.length] });
    const timer = setInterval(() => tcp.packet(), 5);
    await transfer(tcp).finally(() => clearInterval(timer));
    check('whether the window shrank', packets > windows.length, true);
  },

  async finWithTheRequest(tcp) {
    await tcp.open(USUAL);
    tcp.finish(get());
    await downloaded(tcp, 0);
    await allTaken(tcp);
    await tcp.until(() => tcp.finished);
  },

  async finInTheResponse(tcp) {
    await tcp.open(USUAL);
    tcp.write(get());
    await tcp.until(() => tcp.receivedBytes > 1_000);
    tcp.finish();
    await downloaded(tcp, 0);
    await allTaken(tcp);
    await tcp.until(() => tcp.finished);
  },

  /** Both sides close before either has heard of it. */
  async simultaneousClose(tcp) {
    await tcp.open(USUAL);
    tcp.acknowledges = false;
    tcp.write(get(1_000));
    await downloaded(tcp, 0, 1_000);
    await tcp.until(() => tcp.finished);
    // As if the server's FIN were still under way: what is acknowledged ends in front of it.
    tcp.packet({ flags: FLAG.fin | FLAG.ack, acknowledgement: tcp.expected - 1 });
    tcp.next += 1;
    await allTaken(tcp);
    tcp.acknowledges = true;
    tcp.packet();
    await sleep(SETTLE_MS);
    check('reset', tcp.reset, false);
  },

  async urgentAtTheBeginning(tcp) {
    await tcp.open(USUAL);
    tcp.urgentPointer = 1;
    tcp.write(post().subarray(0, 10), URGENT);
    await allTaken(tcp);
    tcp.write(Buffer.concat([post().subarray(10), data()]));
    await uploaded(tcp);
    await downloadAndClose(tcp);
  },

  /** A peek ends in front of it, so that nobody sees the head whole; the client hears so when its time is over. */
  async urgentInTheHead(tcp) {
    await tcp.open(USUAL);
    tcp.urgentPointer = 5;
    tcp.write(get(), URGENT);
    await tcp.until(() => response(tcp, 0) !== undefined);
    check('status', response(tcp, 0).status, 408);
    await close(tcp);
    return { refused: true };
  },

  async urgentAfterTheHandoff(tcp) {
    const rest = await halfUpload(tcp);
    tcp.urgentPointer = 100;
    tcp.write(rest.subarray(0, 1_000), URGENT);
    await allTaken(tcp);
    tcp.write(rest.subarray(1_000));
    await uploaded(tcp);
    await downloadAndClose(tcp);
  },

  /** Packets that belong to nothing, and RSTs that only nearly do (RFC 5961 section 3.2). */
  async strayPackets(tcp) {
    const rest = await halfUpload(tcp);
    const { next, expected } = tcp;
    const payload = Buffer.alloc(100, 'x');
    tcp.packet({ flags: FLAG.rst | FLAG.ack, sequence: next + 1_000 });
    tcp.packet({ flags: FLAG.rst, sequence: next - 1 });
    tcp.packet({ sequence: next + 2 ** 31, payload });
    tcp.packet({ sequence: next - 10_000, payload });
    tcp.packet({ acknowledgement: expected + 1_000_000, payload });
    tcp.packet({ flags: FLAG.syn | FLAG.ack });
    tcp.packet({ flags: 0, payload });
    tcp.packet({ flags: FLAG.fin });
    tcp.write(rest);
    await uploaded(tcp);
    await downloadAndClose(tcp);
  },

  async resetInTheHead(tcp) {
    await tcp.open(USUAL);
    tcp.write(post().subarray(0, 30));
    await allTaken(tcp);
    tcp.rst();
  },

  async resetInTheResponse(tcp) {
    await tcp.open(USUAL);
    // The server's first flight comes, and then nothing for want of acknowledgements.
    tcp.acknowledges = false;
    tcp.write(get());
    await tcp.until(() => tcp.receivedBytes > 1_000);
    tcp.rst();
  },
};

/**
 * What a client does while its connection is frozen and offered, and nobody answers. Its request is an upload, of which
 * 3,000 octets are on their way. Returns what is left of the rest, or undefined where that is all.
 */
const FROZEN = {
  waits: (_tcp, rest) => rest,

  sendsItsSynAgain(tcp, rest) {
    tcp.repeatSyn();
    return rest;
  },

  probes(tcp, rest) {
    for (let k = 0; k < 3; k++) tcp.packet({ sequence: tcp.next - 1 });
    return rest;
  },

  /** What was sent already once more, cut in other places and with more behind it (RFC 9293 section 3.10.7.4). */
  sendsMoreInOneSegment(tcp, rest) {
    const payload = Buffer.concat([tcp.sent.subarray(-500), rest.subarray(0, 800)]);
    tcp.packet({ sequence: tcp.next - 500, payload });
    return rest;
  },

  uploadsOn(tcp, rest) {
    tcp.write(rest.subarray(0, 8_000));
    return rest.subarray(8_000);
  },

  closesItsWindow(tcp, rest) {
    tcp.announce(0);
    setTimeout(() => tcp.announce(65_535), 400);
    return rest;
  },

  closesItsSide: (tcp, rest) => tcp.finish(rest),

  resets: (tcp) => tcp.rst(),
};

async function frozen(tcp, { scenario }) {
  await tcp.open(USUAL);
  await allWaiting();
  tcp.sent = Buffer.concat([post(), data().subarray(0, 3_000)]);
  tcp.write(tcp.sent);
  await allWaiting();
  const rest = FROZEN[scenario](tcp, data().subarray(3_000));
  await allWaiting();
  if (scenario === 'resets') return;
  if (rest !== undefined) tcp.write(rest);
  await uploaded(tcp);
  if (rest === undefined) {
    await tcp.until(() => tcp.finished);
    return;
  }
  // A connection that is no longer the front's: a SYN of its own is late wherever it comes from.
  for (let k = 0; k < 3; k++) tcp.repeatSyn();
  await downloadAndClose(tcp);
}

const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
let waiting = [];

/** Resolves for all cases together, when all have come here and the test has said so. */
function allWaiting() {
  const promise = new Promise((resolve) => waiting.push(resolve));
  if (waiting.length === cases.length) {
    console.log('waiting');
    void input.next().then(() => waiting.splice(0).forEach((resolve) => resolve()));
  }
  return promise;
}

async function run(given) {
  const { name, scenario, sport } = given;
  const tcp = new RawTcp(wire, { ...endpoints, sport, to: front });
  try {
    const more = await (WHOLE[scenario] ?? frozen)(tcp, given);
    const end = tcp.finished ? 'FIN' : tcp.reset ? 'RST' : 'open';
    const by = [...tcp.senders].map((sender) => (octets(sender).equals(front) ? 'front' : 'backend'));
    console.log(JSON.stringify({ name, end, by: by.join(), largest: tcp.largest, ...more }));
  } catch (error) {
    console.log(JSON.stringify({ name, error: error.message }));
  }
}

(async () => {
  ({ bytes: generate } = await import('../bytes.mjs'));
  await Promise.all(cases.map(run));
  process.exit(0);
})();
