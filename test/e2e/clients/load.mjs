/** What the load generators share: they get options as JSON, run jobs in lanes, and print a result as JSON. */

/** Errors that a result lists; more of them would say nothing new. */
const ERRORS_LISTED = 5;

/** A connection without a byte in either direction for so long counts as hung. */
export const SILENT_MS = 15_000;

export function options() {
  return JSON.parse(process.argv[2]);
}

/** Runs `job(k)` for every k below `count`, `parallel` at a time; a job that throws is counted, and the rest go on. */
export async function runJobs({ count, parallel }, job) {
  const ms = [];
  const errors = [];
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const k = next++;
      const began = performance.now();
      try {
        await job(k);
        ms.push(performance.now() - began);
      } catch (error) {
        errors.push(`${k}: ${error.message}`);
      }
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: parallel }, lane));
  const seconds = (performance.now() - began) / 1000;
  return { seconds, ms, errorCount: errors.length, errors: errors.slice(0, ERRORS_LISTED) };
}

/** Sends what the iterator yields, hands everything that comes back to `take`, and resolves when the peer has ended. */
export function exchange(socket, pieces, take) {
  return new Promise((resolve, reject) => {
    const send = () => {
      for (let piece = pieces.next(); !piece.done; piece = pieces.next()) {
        if (!socket.write(piece.value)) return;
      }
    };
    socket.setTimeout(SILENT_MS, () => socket.destroy(new Error(`silent for ${SILENT_MS} ms`)));
    socket.on('drain', send);
    socket.on('data', take);
    socket.once('end', resolve);
    socket.once('error', reject);
    send();
  });
}

/** The JSON body of a whole response; throws where it is not a 200. */
export function jsonOf(pieces) {
  const text = Buffer.concat(pieces).toString('latin1');
  if (!text.startsWith('HTTP/1.1 200 ')) throw new Error(`answer: ${text.slice(0, 80)}`);
  return JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4));
}

export function check(what, actual, expected) {
  if (actual !== expected) throw new Error(`${what} is ${actual} and not ${expected}`);
}
