import type { X509Certificate } from 'node:crypto';
import {
  agentObjection,
  certificatesIn,
  frontObjection,
  hasName,
  isTrusted,
  namesOf,
} from '../../src/wire/identity';
import { Certificates } from './certificates';

const certificates = new Certificates().makeCluster();
const CLIENT = ['clientAuth'];
const SERVER = ['serverAuth'];

afterAll(() => certificates.remove());

function make(name: string, names: string[] | undefined, uses: string[] | undefined): X509Certificate {
  return certificates.make(name, { by: 'ca', ...(names && { names }), ...(uses && { uses }) });
}

const front = certificates.read('front-1');
const agent = certificates.read('b1');
const roleless = make('roleless', ['front-1', 'b1'], undefined);
const both = make('both', ['front-1', 'b1'], [...CLIENT, ...SERVER]);
const anything = make('anything', ['front-1', 'b1'], ['anyExtendedKeyUsage', 'codeSigning']);
const nameless = certificates.make('nameless', { by: 'ca', uses: CLIENT, commonName: 'front-1' });
const wildcard = make('wildcard', ['*.cluster', '*'], CLIENT);
const suffixed = make('suffixed', ['front-1.cluster'], CLIENT);

describe('a name', () => {
  test.each<[string, X509Certificate, string, boolean]>([
    ['is the dNSName', front, 'front-1', true],
    ['is no other', front, 'front-2', false],
    ['is not a part of it', front, 'front', false],
    ['has its case', front, 'Front-1', false],
    ['may be one of several', both, 'b1', true],
    ['is not the common name', nameless, 'front-1', false],
    ['is no wildcard', wildcard, 'front-1', false],
    ['is nothing below a wildcard', wildcard, 'front-1.cluster', false],
    ['is the wildcard only for who is called so', wildcard, '*.cluster', true],
    // X509_check_host(3) takes a leading dot for any name below it.
    ['is not a suffix', suffixed, '.cluster', false],
    ['is not empty', front, '', false],
  ])('%s', (_what, certificate, name, expected) => {
    expect(hasName(certificate, name)).toBe(expected);
  });

  test('is told in messages on one line', () => {
    expect(namesOf(front)).toBe('the certificate names DNS:front-1');
    expect(namesOf(nameless)).toBe('the certificate names nobody');
    const odd = { subjectAltName: `DNS:"a\nb\u001b[2J"${'x'.repeat(1000)}` };
    expect(namesOf(odd)).toMatch(/^the certificate names DNS:"a\?b\?\[2J"x{1,200}$/);
  });
});

const NOT_A_FRONT = 'the certificate is not made for a front: its extended key usage lacks clientAuth';
const NOT_AN_AGENT = 'the certificate is not made for an agent: its extended key usage lacks serverAuth';

test.each<[string, X509Certificate, string, string | undefined]>([
  ['its own', agent, 'b1', undefined],
  ['of both roles', both, 'b1', undefined],
  ["another agent's", agent, 'b2', 'the certificate names DNS:b1, not b2'],
  ["a front's", front, 'front-1', NOT_AN_AGENT],
  ['without a role', roleless, 'b1', NOT_AN_AGENT],
  ['for any other use', anything, 'b1', NOT_AN_AGENT],
])('an agent with a certificate that is %s', (_what, certificate, name, expected) => {
  expect(agentObjection(certificate, name)).toBe(expected);
});

test.each<[string, X509Certificate, string[] | undefined, string | undefined, string | undefined]>([
  ['its own, before its hello', front, ['front-1'], undefined, undefined],
  ['its own', front, ['front-0', 'front-1'], 'front-1', undefined],
  ['its own, where all may connect', front, undefined, 'front-1', undefined],
  ['of both roles', both, ['front-1'], 'front-1', undefined],
  ["an agent's", agent, undefined, 'b1', NOT_A_FRONT],
  ['without a role', roleless, undefined, 'front-1', NOT_A_FRONT],
  ['for any other use', anything, undefined, 'front-1', NOT_A_FRONT],
  [
    'not allowed',
    front,
    ['front-2'],
    undefined,
    'the certificate names DNS:front-1, which is not in control.tls.allow',
  ],
  [
    'without a name',
    nameless,
    ['front-1'],
    undefined,
    'the certificate names nobody, which is not in control.tls.allow',
  ],
  [
    "another front's",
    front,
    undefined,
    'front-2',
    'the certificate names DNS:front-1, not front-2 as its hello says',
  ],
  [
    "another front's that is allowed",
    front,
    ['front-1', 'front-2'],
    'front-2',
    'the certificate names DNS:front-1, not front-2 as its hello says',
  ],
  [
    'of two names, and it uses the one that is not allowed',
    both,
    ['front-1'],
    'b1',
    'b1 is not in control.tls.allow',
  ],
])('a front with a certificate that is %s', (_what, certificate, allow, node, expected) => {
  expect(frontObjection(certificate, allow, node)).toBe(expected);
});

describe('trust', () => {
  const DAY_MS = 24 * 3600 * 1000;
  const root = certificates.read('ca');
  const otherRoot = certificates.make('other', { isAuthority: true });
  const namesake = certificates.make('namesake', { isAuthority: true, commonName: 'ca' });
  const middle = certificates.make('middle', { isAuthority: true, by: 'ca' });
  const below = certificates.make('below', { names: ['front-1'], uses: CLIENT, by: 'middle' });
  const expired = certificates.make('expired', { names: ['front-1'], uses: CLIENT, by: 'ca', days: -1 });
  // Signed by a node that is no authority.
  const illegal = certificates.make('illegal', { names: ['front-1'], uses: CLIENT, by: 'front-1' });

  test.each<[string, X509Certificate[], X509Certificate[], number, boolean]>([
    ['leads to an authority', [front], [otherRoot, root], 0, true],
    ['leads there with the authority itself', [front, root], [root], 0, true],
    ['leads there over another one', [below, middle, root], [root], 0, true],
    ['lacks a link', [below], [root], 0, false],
    ['leads to an authority that is no longer one', [front, root], [otherRoot], 0, false],
    ['leads to none', [front, root], [], 0, false],
    ['leads to a namesake of the authority', [front], [namesake], 0, false],
    ['ends at what is trusted and is no root', [below], [middle], 0, false],
    ['goes over a node', [illegal, front], [root], 0, false],
    ['has a link that belongs to something else', [illegal, middle], [root], 0, false],
    ['is empty', [], [root], 0, false],
    ['has expired', [expired], [root], 0, false],
    ['will have expired', [front], [root], 3 * DAY_MS, false],
    ['is not valid yet', [front], [root], -3 * DAY_MS, false],
  ])('a chain that %s', (_what, chain, authorities, later, expected) => {
    expect(isTrusted(chain, authorities, Date.now() + later)).toBe(expected);
  });
});

test('all certificates of a PEM text are read, and what is between them is not', () => {
  const [ca, b1] = [certificates.text('ca.pem'), certificates.text('b1.pem')];
  const text = `# the authority\n${ca}\n${certificates.text('b1-key.pem')}\n${b1.replaceAll('\n', '\r\n')}`;
  expect(certificatesIn(text).map(({ subject }) => subject)).toEqual(['CN=ca', 'CN=b1']);
  expect(certificatesIn('nothing')).toEqual([]);
  expect(() => certificatesIn(ca.replace(/\n.{40}/, '\n'))).toThrow();
});
