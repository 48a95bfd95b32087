/**
 * The yardsticks: what they take on a machine says how fast it is, in its own code and at its kernel's door. System calls are
 * measured by one of their own, because on some machines (mitigations, virtualisation) they cost three times as much as the
 * speed of code would make one think.
 */
import { openPair } from '../../test/kernel/pair';
import { getOption, SOL_SOCKET } from '../../src/kernel/socket';
import { sink, type Micro, type Yardstick } from './micro';

const SCANNED_BYTES = 1024;
const LINE_FEED = 10;
const SO_TYPE = 3;

/** Goes through 1 KiB octet by octet, as a parser does. */
function scan(): Micro {
  const bytes = Buffer.alloc(SCANNED_BYTES, 'the quick brown fox jumps over the lazy dog\n');
  const calls = 50;
  return {
    name: 'scan 1 KiB',
    yardstick: 'scan',
    calls,
    batch: () => {
      for (let i = 0; i < calls; i++) sink.value += linesIn(bytes);
    },
  };
}

function linesIn(bytes: Buffer): number {
  let lines = 0;
  for (let at = 0; at < bytes.length; at++) if (bytes[at] === LINE_FEED) lines++;
  return lines;
}

/** getsockopt(2) with next to nothing to do, by the same way into the kernel as everything of src/kernel. */
function syscall(): Micro {
  const pair = openPair();
  const value = Buffer.alloc(4);
  const calls = 50;
  return {
    name: 'getsockopt',
    yardstick: 'syscall',
    calls,
    batch: () => {
      for (let i = 0; i < calls; i++) sink.value += getOption(pair.server, SOL_SOCKET, SO_TYPE, value, 4);
    },
    close: () => pair.close(),
  };
}

/** One of each serves a whole run: of a function made anew V8 makes other code, at another speed. */
export function calibrations(): Readonly<Record<Yardstick, Micro>> {
  return { scan: scan(), syscall: syscall() };
}
