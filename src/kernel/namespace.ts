/** Sockets of this process that belong to another network namespace. Needs CAP_SYS_ADMIN. */
import { closeSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { must } from './errors';
import * as libc from './libc';
import { AF_INET, SOCK_CLOEXEC, SOCK_STREAM } from './socket';

const CLONE_NEWNET = 0x40000000;

/** The namespace of the thread that looks. */
const OWN = '/proc/thread-self/ns/net';

/**
 * Begins a connection over IPv4 inside the network namespace of a file such as /run/netns/NAME. A socket belongs to the one
 * that its thread is in when it is made, wherever the thread goes then (network_namespaces(7)).
 */
export function connectInside(namespace: string, host: string, port: number): Socket {
  const fd = within(namespace, () => libc.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  must(fd, `make a socket in ${namespace}`);
  // Without the last one it would read before it is connected.
  const options = { fd, readable: true, writable: true, manualStart: true };
  return new Socket(options).connect({ host, port });
}

/** Runs in a namespace what ends at once: nothing else runs on this thread meanwhile. */
function within<T>(namespace: string, body: () => T): T {
  const own = openSync(OWN, 'r');
  try {
    enter(namespace);
    try {
      return body();
    } finally {
      must(libc.setns(own, CLONE_NEWNET), `leave ${namespace}`);
    }
  } finally {
    closeSync(own);
  }
}

function enter(namespace: string): void {
  const fd = openSync(namespace, 'r');
  try {
    must(libc.setns(fd, CLONE_NEWNET), `enter ${namespace}`);
  } finally {
    closeSync(fd);
  }
}
