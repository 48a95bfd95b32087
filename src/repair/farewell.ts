/**
 * What a front can still do for the client of a connection whose owner is gone, or may be: speak once in its name.
 *
 *   probe    a keep-alive probe (RFC 9293 section 3.8.4): the client answers, and whoever the answer reaches decides.
 *            A kernel that has the connection takes it as the duplicate it is; one that has not answers with RST.
 *   reset    a probe and a RST: for a connection that certainly has no owner. The RST carries the number that the
 *            client expects next, so the client heeds it at once (RFC 5961 section 3.2). If the number is not the right
 *            one, the client's answer to the probe meets a host without such a connection, and with that a RST.
 *
 * Both are sent by a socket that is put together in repair for the purpose and closed again, within microseconds: the VIP
 * is an address of this host, and no capability is needed beyond the one that repair takes.
 */
import { flowFamily, SOCKADDR_BYTES, sockaddrFromFlowClient, sockaddrFromFlowVip } from '../kernel/flow';
import { bind, close, connect, socket } from '../kernel/libc';
import {
  AF_INET,
  AF_INET6,
  IPPROTO_TCP,
  setLinger,
  setOption,
  setOptionU32,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  TCP_QUEUE_SEQ,
  TCP_REPAIR,
  TCP_REPAIR_QUEUE,
} from '../kernel/socket';
import { RECEIVE_QUEUE, REPAIR_ON, SEND_QUEUE } from './dump';

const REPAIR_OFF_PROBE = 0;

const sockaddr = Buffer.alloc(SOCKADDR_BYTES);

/** Where a connection stands in its client's eyes (steer/flow-table.ts, ClientNumbers). */
interface Numbers {
  readonly sequence: number;
  readonly acknowledged: number;
}

/** Makes the client speak. 0, or `-errno`: -EADDRNOTAVAIL where this host itself still has the connection. */
export function probeClient(flow: Buffer, numbers: Numbers): number {
  return speak(flow, numbers, (fd) => {
    setOption(fd, IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_PROBE);
    // Back in repair, so that closing is silent.
    return setOption(fd, IPPROTO_TCP, TCP_REPAIR, REPAIR_ON);
  });
}

/** Ends the connection in the client's eyes. 0, or `-errno` as above. */
export function resetClient(flow: Buffer, numbers: Numbers): number {
  return speak(flow, numbers, (fd) => {
    setOption(fd, IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_PROBE);
    return setLinger(fd, 0);
  });
}

function speak(flow: Buffer, numbers: Numbers, say: (fd: number) => number): number {
  const family = flowFamily(flow) === 4 ? AF_INET : AF_INET6;
  const fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fd;
  const prepared = impersonate(fd, flow, numbers);
  const result = prepared < 0 ? prepared : say(fd);
  close(fd);
  return result;
}

/** Puts a fresh socket where the lost one stood: in repair, connect(2) sends nothing. */
function impersonate(fd: number, flow: Buffer, { sequence, acknowledged }: Numbers): number {
  const steps = [
    () => setOption(fd, IPPROTO_TCP, TCP_REPAIR, REPAIR_ON),
    () => setOption(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, SEND_QUEUE),
    () => setOptionU32(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, acknowledged),
    () => setOption(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, RECEIVE_QUEUE),
    () => setOptionU32(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, sequence),
    () => bind(fd, sockaddr, sockaddrFromFlowVip(flow, 0, sockaddr)),
    () => connect(fd, sockaddr, sockaddrFromFlowClient(flow, 0, sockaddr)),
  ];
  for (const step of steps) {
    const result = step();
    if (result < 0) return result;
  }
  return 0;
}
