import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Steering } from '../../src/steer/steering';

const directory = mkdtempSync(join(tmpdir(), 'baton-steering-'));
afterAll(() => rmSync(directory, { recursive: true }));

test('an interface that is not there is named', () => {
  expect(() => Steering.open({ interface: 'nowhere0', pin: directory, maxFlows: 1 })).toThrow(
    'steering.interface: there is no interface nowhere0',
  );
});

test('a directory of another file system is named, with the remedy', () => {
  expect(() => Steering.open({ interface: 'lo', pin: directory, maxFlows: 1 })).toThrow(
    `steering.pin: ${directory} is not in a bpf file system: mount -t bpf bpf /sys/fs/bpf`,
  );
});

test('a directory is not made where it would not be in one', () => {
  const pin = join(directory, 'a', 'b');
  expect(() => Steering.open({ interface: 'lo', pin, maxFlows: 1 })).toThrow(
    `steering.pin: ${pin} is not in a bpf file system: mount -t bpf bpf /sys/fs/bpf`,
  );
  expect(readdirSync(directory)).toEqual([]);
});
