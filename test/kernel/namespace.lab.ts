import { once } from 'node:events';
import { existsSync, readlinkSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { connectInside } from '../../src/kernel/namespace';
import { LabProcess } from '../../src/lab/lab-process';
import { inNamespace, NETNS_DIR } from '../../src/lab/ip';
import { withNamespace } from './namespace';

const OWN = '/proc/thread-self/ns/net';

test('a connection begins in the namespace that it is asked for, and its thread stays where it was', async () => {
  const before = readlinkSync(OWN);
  // What listens there does so on a port that somebody else has here.
  const here = createServer((socket) => socket.end('here')).listen(0, '127.0.0.1');
  await once(here, 'listening');
  const { port } = here.address() as AddressInfo;
  await withNamespace(async ({ name }) => {
    const script = `require('node:net').createServer((socket) => socket.end('there'))
      .listen(${port}, '127.0.0.1', () => console.log('listening'))`;
    const server = new LabProcess(inNamespace(name, [process.execPath, '-e', script]));
    try {
      await server.waitForLine('listening', 10_000);
      const socket = connectInside(`${NETNS_DIR}/${name}`, '127.0.0.1', port);
      expect(readlinkSync(OWN)).toBe(before);
      const [said] = (await once(socket.setEncoding('latin1'), 'data')) as [string];
      expect(said).toBe('there');
      socket.destroy();
    } finally {
      await server.stop();
    }
  });
  here.close();
});

test('a namespace that is not there is an error, and changes nothing', () => {
  const before = readlinkSync(OWN);
  const absent = `${NETNS_DIR}/bt-absent`;
  expect(existsSync(absent)).toBe(false);
  expect(() => connectInside(absent, '127.0.0.1', 80)).toThrow('ENOENT');
  expect(() => connectInside('/proc/self/ns/mnt', '127.0.0.1', 80)).toThrow(/enter .*: EINVAL/);
  expect(readlinkSync(OWN)).toBe(before);
});
