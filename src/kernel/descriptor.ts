/** What fcntl(2) does to a descriptor. */
import { must } from './errors';
import { fcntl } from './libc';
import { SOCK_NONBLOCK } from './socket';

const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const F_DUPFD_CLOEXEC = 1030;
const FD_CLOEXEC = 1;
/** Descriptors that programs take for their input and outputs. */
const STANDARD = 3;

/** Another descriptor for the same open file; throws a KernelError. */
export function duplicate(fd: number): number {
  return must(fcntl(fd, F_DUPFD_CLOEXEC, STANDARD), `duplicate descriptor ${fd}`);
}

/** Keeps a descriptor from programs that this process starts; throws a KernelError. */
export function closeOnExec(fd: number): void {
  must(fcntl(fd, F_SETFD, FD_CLOEXEC), `set FD_CLOEXEC on descriptor ${fd}`);
}

/** For all who share the open file, other processes included; throws a KernelError. */
export function nonBlocking(fd: number): void {
  const flags = must(fcntl(fd, F_GETFL, 0), `get flags of descriptor ${fd}`);
  must(fcntl(fd, F_SETFL, flags | SOCK_NONBLOCK), `set O_NONBLOCK on descriptor ${fd}`);
}
