import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { parseAgentConfig, parseAgentConfigObject, parseFrontConfig } from '../../src/config/load';
import { Certificates } from '../wire/certificates';
import { AGENT, FRONT, compare, configOf } from './texts';

const certificates = new Certificates().makeCluster();
const { directory } = certificates;
const file = (name: string): string => certificates.file(name);
const shown = (name: string): string => JSON.stringify(file(name));

certificates.make('expired', { names: ['front-1'], uses: ['clientAuth'], by: 'ca', days: -1 });
certificates.make('expired-ca', { isAuthority: true, days: -1 });
certificates.make('roleless', { names: ['front-1'], by: 'ca' });
writeFileSync(file('empty.pem'), '');
writeFileSync(file('broken.pem'), certificates.text('ca.pem').replace(/\n.{40}/, '\n'));
writeFileSync(file('der.pem'), Buffer.from([0x30, 0x82, 0xff, 0xfe]));
const encrypt = ['ec', '-in', 'front-1-key.pem', '-aes256', '-passout', 'pass:x', '-out', 'encrypted.pem'];
execFileSync('openssl', encrypt, { cwd: directory, stdio: 'pipe' });
// Too short for OpenSSL's default security level.
const weak = [
  'req',
  '-x509',
  '-config',
  'openssl.cnf',
  '-newkey',
  'rsa:512',
  '-nodes',
  '-subj',
  '/CN=weak',
  '-days',
  '2',
];
const extensions = ['-addext', 'subjectAltName=DNS:front-1', '-addext', 'extendedKeyUsage=clientAuth'];
const files = ['-keyout', 'weak-key.pem', '-out', 'weak.pem'];
execFileSync('openssl', [...weak, ...extensions, ...files], { cwd: directory, stdio: 'pipe' });

afterAll(() => certificates.remove());

type Case = [what: string, changes: Partial<Record<'ca' | 'cert' | 'key', string>>, ...messages: string[]];

const CASES: Case[] = [
  ['sound files', {}],
  [
    'no authority',
    { ca: '¶absent.pem' },
    `control.tls.ca: ${shown('absent.pem')}: cannot read: ENOENT: no such file or directory`,
  ],
  [
    'a directory',
    { cert: '¶.' },
    `control.tls.cert: ${JSON.stringify(directory)}: cannot read: EISDIR: illegal operation on a directory`,
  ],
  [
    'no key',
    { key: '¶absent' },
    `control.tls.key: ${shown('absent')}: cannot read: ENOENT: no such file or directory`,
  ],
  [
    'no file at all',
    { ca: '¶a', cert: '¶b', key: '¶c' },
    ...['ca', 'cert', 'key'].map(
      (key, index) =>
        `control.tls.${key}: ${shown('abc'[index] ?? '')}: cannot read: ENOENT: no such file or directory`,
    ),
  ],
  [
    'an empty file',
    { ca: '¶empty.pem', cert: '¶empty.pem', key: '¶empty.pem' },
    `control.tls.ca: there is no certificate in PEM in ${shown('empty.pem')}`,
    `control.tls.cert: there is no certificate in PEM in ${shown('empty.pem')}`,
    `control.tls.key: there is no private key in PEM in ${shown('empty.pem')}`,
  ],
  [
    'no PEM',
    { cert: '¶der.pem' },
    `control.tls.cert: ${shown('der.pem')}: cannot read: The encoded data was not valid for encoding utf-8`,
  ],
  [
    'the key where the certificate should be',
    { cert: '¶front-1-key.pem', key: '¶front-1.pem' },
    `control.tls.cert: there is no certificate in PEM in ${shown('front-1-key.pem')}`,
    `control.tls.key: there is no private key in PEM in ${shown('front-1.pem')}`,
  ],
  [
    'a key with a passphrase',
    { key: '¶encrypted.pem' },
    `control.tls.key: the private key in ${shown('encrypted.pem')} cannot be read: it is encrypted, and nobody is there to ask for its passphrase`,
  ],
  [
    "another node's key",
    { key: '¶b1-key.pem' },
    'control.tls.key: the key does not belong to the certificate of "cert"',
  ],
  [
    "an agent's certificate, by its key",
    { cert: '¶¶b1.pem', key: 'b1-key.pem' },
    'control.tls.cert: the certificate is not made for a front: its extended key usage lacks clientAuth',
    'control.tls.cert: the certificate names DNS:b1, not front-1 as `node` says',
  ],
  [
    'a certificate without a role',
    { cert: '¶roleless.pem', key: 'roleless-key.pem' },
    'control.tls.cert: the certificate is not made for a front: its extended key usage lacks clientAuth',
  ],
  [
    'authorities that have expired',
    { ca: '¶expired-ca.pem' },
    `control.tls.ca: no certificate in ${shown('expired-ca.pem')} is valid today`,
  ],
];

function tlsOf(changes: Case[1]): string {
  const { ca, cert, key } = { ca: 'ca.pem', cert: 'front-1.pem', key: 'front-1-key.pem', ...changes };
  const value = (text: string): string => text.replace(/[^¶]+/, (name) => file(name).replace(/\/\.$/, ''));
  return `tls: { ca: ${value(ca)}, cert: ${value(cert)}, key: ${value(key)} }`;
}

test.each(CASES)('%s', (_what, changes, ...messages) => {
  const { actual, expected } = compare(parseFrontConfig, FRONT, [
    'insecure: true',
    tlsOf(changes),
    ...messages,
  ]);
  expect(actual).toEqual(expected);
});

test.each([
  [
    'expired',
    /^F:15:\d+: control\.tls\.cert: the certificate expired on .+ GMT$/,
    { cert: 'expired.pem', key: 'expired-key.pem' },
  ],
  [
    'cannot be read',
    /^F:15:\d+: control\.tls\.ca: the certificate in ".+" cannot be read: .+$/,
    { ca: 'broken.pem' },
  ],
  [
    'is too weak',
    /^F:15:17: control\.tls: OpenSSL does not take these files: .*ee key too small/,
    { cert: 'weak.pem', key: 'weak-key.pem' },
  ],
])('a certificate that %s', (_what, message, changes) => {
  const { actual } = compare(parseFrontConfig, FRONT, ['insecure: true', tlsOf(changes)]);
  expect(actual).toEqual([expect.stringMatching(message)]);
});

const agentTls = `tls: { ca: ${file('ca.pem')}, cert: ${file('b1.pem')}, key: ${file('b1-key.pem')}, allow: [front-1] }`;

test("an agent's certificate has its name and its role", () => {
  const { control } = configOf(parseAgentConfig(AGENT.replace('insecure: true', agentTls), __filename));
  expect(control).toMatchObject({ insecure: false, tls: certificates.tls('b1', ['front-1']) });
  const foreign = `tls: { ca: ${file('ca.pem')}, cert: ¶¶${file('front-1.pem')}, key: ${file('front-1-key.pem')} }`;
  const { actual, expected } = compare(parseAgentConfig, AGENT, [
    'insecure: true',
    foreign,
    'control.tls.cert: the certificate is not made for an agent: its extended key usage lacks serverAuth',
    'control.tls.cert: the certificate names DNS:front-1, not b1 as `node` says',
  ]);
  expect(actual).toEqual(expected);
});

test('the same goes for an attached agent', () => {
  const { ca, cert, key } = certificates.tls('b1');
  const value = (changes: object) => ({
    node: 'b1',
    control: { listen: '198.18.0.21:7400', tls: { ca, cert, key, ...changes } },
    vips: ['198.19.0.1'],
  });
  expect(configOf(parseAgentConfigObject(value({}))).control.tls?.pem).toEqual(
    certificates.credentials('b1'),
  );
  const problems = [
    { line: 0, column: 0, message: 'control.tls.key: the key does not belong to the certificate of "cert"' },
  ];
  expect(parseAgentConfigObject(value({ key: file('front-1-key.pem') }))).toEqual({ ok: false, problems });
});

test('with "insecure" beside it the files are not looked at', () => {
  const { actual, expected } = compare(parseFrontConfig, FRONT, [
    'control: { insecure: true }',
    `control: ¶{ insecure: true, tls: { ca: a, cert: b, key: c } }`,
    'control: has both "insecure" and "tls": keep one',
  ]);
  expect(actual).toEqual(expected);
});

test('a file that may not be read says so', () => {
  chmodSync(file('b1-key.pem'), 0);
  const { actual } = compare(parseAgentConfig, AGENT, ['insecure: true', agentTls]);
  chmodSync(file('b1-key.pem'), 0o600);
  // The superuser may read everything.
  expect(actual).toEqual(process.getuid?.() === 0 ? [] : [expect.stringContaining('cannot read: EACCES')]);
});
