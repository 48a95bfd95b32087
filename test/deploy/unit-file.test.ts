import { join } from 'node:path';
import { UnitFile } from './unit-file';

const UNITS = join(__dirname, '../../deploy/systemd');

test('a unit file is read as systemd reads it', () => {
  const unit = new UnitFile(
    '# top\n[Service]\nA=1 2\nA=3\nB=x=y\n; note\nC=old\nC=\nC=new\n[Install]\nA=yes\n',
  );
  expect(unit.words('Service.A')).toEqual(['1', '2', '3']);
  expect(unit.value('Service.B')).toBe('x=y');
  expect(unit.values('Service.C')).toEqual(['new']);
  expect([unit.isOn('Install.A'), unit.isOn('Install.B')]).toEqual([true, false]);
  expect(() => unit.value('Unit.A')).toThrow('Unit.A= is not set');
  expect(() => new UnitFile('[Service]\nA=1 \\\n2\n')).toThrow('not understood: A=1 \\');
});

describe.each([
  { name: 'baton-front', capabilities: ['CAP_NET_ADMIN', 'CAP_BPF', 'CAP_NET_BIND_SERVICE'] },
  { name: 'baton-agent', capabilities: ['CAP_NET_ADMIN', 'CAP_NET_BIND_SERVICE'] },
])('$name.service', ({ name, capabilities }) => {
  const unit = UnitFile.read(join(UNITS, `${name}.service`));

  test('gives a user of its own these capabilities, and no way to more', () => {
    expect(unit.value('Service.User')).toBe(name);
    expect(unit.words('Service.AmbientCapabilities')).toEqual(capabilities);
    expect(unit.words('Service.CapabilityBoundingSet')).toEqual(capabilities);
    expect(unit.isOn('Service.NoNewPrivileges')).toBe(true);
  });

  test('has a sandbox', () => {
    expect(unit.value('Service.ProtectSystem')).toBe('strict');
    const closed = [
      'ProtectHome',
      'PrivateTmp',
      'PrivateDevices',
      'ProtectKernelTunables',
      'ProtectKernelModules',
    ];
    const more = ['ProtectKernelLogs', 'ProtectControlGroups', 'RestrictNamespaces', 'LockPersonality'];
    expect([...closed, ...more].filter((setting) => !unit.isOn(`Service.${setting}`))).toEqual([]);
    expect(unit.words('Service.SystemCallFilter').slice(0, 1)).toEqual(['@system-service']);
  });

  test('waits for longer than a stopping program takes, and starts one that has ended again', () => {
    const GRACE_SECONDS = 10;
    expect(parseInt(unit.value('Service.TimeoutStopSec'), 10)).toBeGreaterThan(GRACE_SECONDS);
    expect(unit.value('Service.Restart')).toBe('always');
  });
});
