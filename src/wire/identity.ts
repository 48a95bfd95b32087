/**
 * Who a certificate says that a node is. Its name is its node name, a dNSName of the subject alternative name (RFC 5280
 * section 4.2.1.6); the common name says nothing (RFC 9525 section 2). Its role is the extended key usage (RFC 5280
 * section 4.2.1.12): fronts are TLS clients and agents are TLS servers. OpenSSL looks at that too, but takes a
 * certificate without the extension for either.
 */
import { X509Certificate } from 'node:crypto';

export type Role = 'front' | 'agent';

const USES: Readonly<Record<Role, { readonly oid: string; readonly name: string }>> = {
  front: { oid: '1.3.6.1.5.5.7.3.2', name: 'clientAuth' },
  agent: { oid: '1.3.6.1.5.5.7.3.1', name: 'serverAuth' },
};

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** The certificates of a PEM text in its order; throws where one of them cannot be read. */
export function certificatesIn(pem: string): X509Certificate[] {
  return [...pem.matchAll(PEM_CERTIFICATE)].map(([text]) => new X509Certificate(text));
}

/** Whether a certificate carries exactly this name: no wildcards, and no other case. */
export function hasName(certificate: X509Certificate, name: string): boolean {
  return certificate.checkHost(name, { subject: 'never', wildcards: false }) === name;
}

/** Why a certificate is none of this role, or undefined. */
export function roleObjection(certificate: X509Certificate, role: Role): string | undefined {
  // Undefined where the extension is missing, whatever the type says.
  const uses = certificate.keyUsage as string[] | undefined;
  const { oid, name } = USES[role];
  if (uses?.includes(oid)) return undefined;
  return `the certificate is not made for ${article(role)}: its extended key usage lacks ${name}`;
}

/** Why a certificate is not that of the agent with this name, or undefined. */
export function agentObjection(certificate: X509Certificate, name: string): string | undefined {
  const wrongName = hasName(certificate, name) ? undefined : `${namesOf(certificate)}, not ${name}`;
  return roleObjection(certificate, 'agent') ?? wrongName;
}

/**
 * Why a certificate is not that of a front that may connect, or undefined. `node` is what the front calls itself;
 * undefined before it has said so. Without `allow` any front may.
 */
export function frontObjection(
  certificate: X509Certificate,
  allow: readonly string[] | undefined,
  node: string | undefined,
): string | undefined {
  const wrongRole = roleObjection(certificate, 'front');
  if (wrongRole !== undefined) return wrongRole;
  if (allow !== undefined && !allow.some((name) => hasName(certificate, name)))
    return `${namesOf(certificate)}, which is not in control.tls.allow`;
  if (node === undefined) return undefined;
  if (!hasName(certificate, node)) return `${namesOf(certificate)}, not ${node} as its hello says`;
  // A certificate of two names may be allowed by the other one.
  return allow?.includes(node) === false ? `${node} is not in control.tls.allow` : undefined;
}

/**
 * Whether a chain, from a node's certificate towards its authority, leads to one of the authorities and all of it is
 * valid at a time (milliseconds since 1970). For chains that OpenSSL has verified once already: this tells whether they
 * still hold when the authorities are others or time has passed.
 */
export function isTrusted(
  chain: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
  now: number,
): boolean {
  const roots = authorities.filter(
    (authority) => isIssuedBy(authority, authority) && isValidAt(authority, now),
  );
  for (const [index, certificate] of chain.entries()) {
    const below = chain[index - 1];
    // Whoever sent the chain may have put anything into it.
    if (below !== undefined && !(certificate.ca && isIssuedBy(below, certificate))) return false;
    if (!isValidAt(certificate, now)) return false;
    if (roots.some((root) => isIssuedBy(certificate, root))) return true;
  }
  return false;
}

export function isValidAt(certificate: X509Certificate, now: number): boolean {
  return Date.parse(certificate.validFrom) <= now && now <= Date.parse(certificate.validTo);
}

/** When a node's own certificate ends, the first one of its PEM text: seconds since 1970. */
export function expiryOf(pem: string): number {
  return Date.parse(new X509Certificate(pem).validTo) / 1000;
}

/** A certificate's names for a message: hostile bytes, so one line of bounded length. */
export function namesOf({ subjectAltName }: Pick<X509Certificate, 'subjectAltName'>): string {
  if (subjectAltName === undefined) return 'the certificate names nobody';
  return `the certificate names ${subjectAltName.slice(0, 200).replace(/[^\x20-\x7e]/g, '?')}`;
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function article(role: Role): string {
  return role === 'front' ? 'a front' : 'an agent';
}
