/** What a handoff does at the kernel, with a connection over loopback. Needs CAP_NET_ADMIN and CAP_BPF. */
import { openPair, sendAll, type Pair } from '../../test/kernel/pair';
import { must } from '../../src/kernel/errors';
import { IPPROTO_TCP, setLinger, setOption, TCP_REPAIR } from '../../src/kernel/socket';
import { dump as dumpInto, DumpBuffer, release, REPAIR_ON, silence, unmoved } from '../../src/repair/dump';
import { freeze as freezeSocket, prepareFreeze, unfreeze } from '../../src/repair/freeze';
import { RECEIVE_SEQUENCE } from '../../src/repair/layout';
import { goLive, Restorer } from '../../src/repair/restore';
import { BROWSER_HEAD } from './browser-head';
import { sink, type Micro } from './micro';

const NOTHING = Buffer.alloc(0);

/** A connection whose first request nobody has read. */
function waiting(): Pair {
  prepareFreeze();
  const pair = openPair();
  sendAll(pair.client, BROWSER_HEAD);
  return pair;
}

/** Both ways: a socket that is frozen already is no case. */
export function freeze(): Micro {
  const pair = waiting();
  const calls = 20;
  return {
    name: 'freeze and unfreeze',
    yardstick: 'syscall',
    calls,
    batch: () => {
      for (let i = 0; i < calls; i++) {
        freezeSocket(pair.server);
        unfreeze(pair.server);
      }
    },
    close: () => pair.close(),
  };
}

export function dump(): Micro {
  const pair = waiting();
  freezeSocket(pair.server);
  const into = new DumpBuffer();
  const calls = 10;
  return {
    name: 'dump',
    yardstick: 'syscall',
    calls,
    batch: () => {
      for (let i = 0; i < calls; i++) sink.value += dumpInto(pair.server, pair.flow, into);
    },
    close: () => pair.close(),
  };
}

/** The snapshot of a connection of which nothing is left on this host, so that it can be restored again and again. */
function taken(): Buffer {
  const pair = waiting();
  const server = pair.giveServer();
  freezeSocket(pair.client);
  freezeSocket(server);
  const into = new DumpBuffer();
  const length = dumpInto(server, pair.flow, into);
  const snapshot = Buffer.from(into.bytes.subarray(0, length));
  // Back in repair, both of them: closing one must not be heard by the other.
  unmoved(server, snapshot.readUInt32BE(RECEIVE_SEQUENCE));
  silence(server);
  must(setOption(pair.client, IPPROTO_TCP, TCP_REPAIR, REPAIR_ON), 'set TCP_REPAIR');
  release(server);
  pair.close();
  return snapshot;
}

/** Rebuilds a connection and throws it away. */
export function restore(): Micro {
  const snapshot = taken();
  const restorer = new Restorer();
  const calls = 5;
  return {
    name: 'restore and release',
    yardstick: 'syscall',
    calls,
    batch: () => {
      for (let i = 0; i < calls; i++) release(restorer.restore(snapshot, 0));
    },
    close: () => restorer.close(),
  };
}

/** Brings a rebuilt connection to life and resets it; that nobody is at the other end is all the same to this one. */
export function live(): Micro {
  const snapshot = taken();
  const restorer = new Restorer();
  const calls = 5;
  return {
    name: 'restore, go live and reset',
    yardstick: 'syscall',
    calls,
    batch: () => {
      for (let i = 0; i < calls; i++) {
        const fd = restorer.restore(snapshot, 0);
        goLive(fd, NOTHING, false);
        setLinger(fd, 0);
        release(fd);
      }
    },
    close: () => restorer.close(),
  };
}
