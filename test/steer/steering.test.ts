import { Steering } from '../../src/steer/steering';

const PIN = '/sys/fs/bpf/baton-nowhere';

test('an interface that is not there is named', () => {
  expect(() => Steering.open({ interface: 'nowhere0', pin: PIN, maxFlows: 1 })).toThrow(
    'steering.interface: there is no interface nowhere0',
  );
});

test('an interface without Ethernet headers is refused', () => {
  expect(() => Steering.open({ interface: 'lo', pin: PIN, maxFlows: 1 })).toThrow(
    'steering.interface: lo is of type loopback, only Ethernet is steered',
  );
});
