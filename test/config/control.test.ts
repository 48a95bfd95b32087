import { normaliseControl } from '../../src/config/control';

test('certificate files are relative to the configuration', () => {
  const tls = { ca: 'ca.pem', cert: '../cert.pem', key: '/run/key.pem', allow: ['front-1'] };
  expect(normaliseControl({ tls }, '/etc/baton')).toEqual({
    insecure: false,
    tls: { ca: '/etc/baton/ca.pem', cert: '/etc/cert.pem', key: '/run/key.pem', allow: ['front-1'] },
  });
});
