import type { FastifyInstance } from 'fastify';
import { randomBytes } from 'node:crypto';
import { chmodSync, linkSync, lstatSync, rmSync } from 'node:fs';
import { connect, type Server } from 'node:net';

/** Owner and group of the process: put an operator into its group to let him ask. */
const MODE = 0o660;
/** A socket file whose process lives answers connect at once, or lets it wait when the process is busy. */
const PROBE_TIMEOUT_MS = 1000;

/**
 * Serves on a Unix socket. It is made under another name, gets its mode, and only then its name, so nobody can connect
 * to it before its mode keeps others out. A link and not a rename: of two processes that start at once, one must fail.
 *
 * At the end the name is removed, unless it has become somebody else's meanwhile. (libuv removes the name that it has
 * bound, whoever's it is by then: another reason for a name of its own.)
 * @throws Error with the cause, and what to do.
 */
export async function listenOnSocket(app: FastifyInstance, path: string): Promise<void> {
  await removeStale(path);
  const unborn = `${path}.${randomBytes(4).toString('hex')}`;
  await app.listen({ path: unborn });
  chmodSync(unborn, MODE);
  linkSync(unborn, path);
  remove(unborn);
  removeAtEnd(app.server, path);
}

/** Servers whose name stays when they close. */
const left = new WeakSet<Server>();

/** The name goes with the server that listens there, unless it has become somebody else's meanwhile. */
export function removeAtEnd(server: Server, path: string): void {
  const inode = inodeOf(path);
  server.once('close', () => {
    if (!left.has(server)) removeOwn(path, inode);
  });
}

/** Another process listens on the same socket from now on: its name is that one's. */
export function leaveName(server: Server): void {
  left.add(server);
}

/** Removes what a process left that died; throws when the path belongs to a live one, or to no socket at all. */
async function removeStale(path: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isSocket())
    throw new Error('there is something else with this name: remove it or change admin.listen');
  if (await answers(path)) throw new Error('another process listens there: stop it or change admin.listen');
  // Another process that starts now may have replaced it meanwhile.
  removeOwn(path, stats.ino);
}

/** Whether a process has the socket open. Only a refusal proves that nobody has. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    const settle = (alive: boolean): void => {
      socket.destroy();
      resolve(alive);
    };
    socket.setTimeout(PROBE_TIMEOUT_MS, () => settle(true));
    socket.once('connect', () => settle(true));
    socket.once('error', ({ code }: NodeJS.ErrnoException) =>
      settle(code !== 'ECONNREFUSED' && code !== 'ENOENT'),
    );
  });
}

function inodeOf(path: string): number | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.ino;
}

function removeOwn(path: string, inode: number | undefined): void {
  if (inodeOf(path) === inode) remove(path);
}

function remove(path: string): void {
  rmSync(path, { force: true });
}
