import { normaliseControl } from '../../src/config/control';

const tls = { ca: 'ca.pem', cert: '../cert.pem', key: '/run/key.pem', allow: ['front-1'] };

test('certificate files are relative to the configuration, and their texts go with them', () => {
  const pem = { ca: 'the authority', cert: 'the certificate', key: 'the key' };
  expect(normaliseControl({ tls }, '/etc/baton', pem)).toEqual({
    insecure: false,
    tls: { ca: '/etc/baton/ca.pem', cert: '/etc/cert.pem', key: '/run/key.pem', allow: ['front-1'], pem },
  });
});

test('a channel that is to be secured never becomes one that is not', () => {
  expect(() => normaliseControl({ tls }, '/etc/baton', undefined)).toThrow('have not been read');
  expect(normaliseControl({ insecure: true }, '/etc/baton', undefined)).toEqual({ insecure: true });
});
