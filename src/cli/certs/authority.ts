import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { hasName, isValidAt, roleObjection, type Role } from '../../wire/identity';
import { openssl } from './openssl';

export interface NodeName {
  readonly name: string;
  readonly role: Role;
}

/** An authority for a test cluster outlives the cluster; its nodes are to be renewed every year. */
const AUTHORITY_DAYS = 3650;
const NODE_DAYS = 365;

const CERTIFICATE = 'ca.pem';
const KEY = 'ca-key.pem';

/**
 * Extensions of RFC 5280 section 4.2. The authority signs nodes and no other authorities; fronts are TLS clients and
 * agents are TLS servers, which is how the two are told apart (wire/identity.ts).
 */
const OPENSSL_CONF = `
[req]
distinguished_name = dn
[dn]
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[node]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
`;
const USES: Readonly<Record<Role, string>> = { front: 'clientAuth', agent: 'serverAuth' };

/** ECDSA with P-256: a handshake costs a tenth of one with RSA. Without a passphrase, which nobody is there to type. */
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** A test authority in a directory: ca.pem, ca-key.pem, and NAME.pem with NAME-key.pem for each node that it signed. */
export class Authority {
  constructor(private readonly directory: string) {}

  /**
   * Makes keys and certificates for nodes, and the authority itself where the directory has none. Returns the names of
   * the files that it made. Throws an Error with nothing made where one of them is there already.
   */
  async issue(nodes: readonly NodeName[]): Promise<string[]> {
    const taken = nodes.flatMap(({ name }) => filesOf(name)).filter((file) => this.#has(file));
    if (taken.length > 0)
      throw new Error(`${this.directory} has ${taken.join(', ')} already: remove what is to be made anew`);
    const isNew = this.#isNew();
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    const draft = mkdtempSync(join(this.directory, '.new-'));
    try {
      writeFileSync(join(draft, 'openssl.cnf'), OPENSSL_CONF);
      if (isNew) await this.#makeAuthority(draft);
      const authority = isNew ? draft : this.directory;
      for (const node of nodes) await makeNode(node, authority, draft);
      const made = [...(isNew ? [CERTIFICATE, KEY] : []), ...nodes.flatMap(({ name }) => filesOf(name))];
      this.#publish(draft, made);
      return made;
    } finally {
      rmSync(draft, { recursive: true, force: true });
    }
  }

  /** Names of the fronts that have a certificate here. */
  fronts(): string[] {
    const names = readdirSync(this.directory).flatMap((file) => /^(.+)(?<!-key)\.pem$/.exec(file)?.[1] ?? []);
    return names.filter((name) => this.#isFront(name)).sort();
  }

  #isFront(name: string): boolean {
    try {
      const certificate = new X509Certificate(readFileSync(join(this.directory, `${name}.pem`)));
      return hasName(certificate, name) && roleObjection(certificate, 'front') === undefined;
    } catch {
      // Whatever it is, it is none of ours.
      return false;
    }
  }

  /** Whether there is no authority here yet; throws where there is half of one, or one that can sign nothing. */
  #isNew(): boolean {
    const [certificate, key] = [this.#has(CERTIFICATE), this.#has(KEY)];
    if (!certificate && !key) return true;
    if (certificate !== key)
      throw new Error(`${this.directory} has ${certificate ? CERTIFICATE : KEY} without its other half`);
    const authority = new X509Certificate(readFileSync(join(this.directory, CERTIFICATE)));
    if (!authority.checkPrivateKey(createPrivateKey(readFileSync(join(this.directory, KEY)))))
      throw new Error(`${KEY} in ${this.directory} is not the key of ${CERTIFICATE}`);
    if (!isValidAt(authority, Date.now()))
      throw new Error(`${CERTIFICATE} in ${this.directory} expired on ${authority.validTo}`);
    return false;
  }

  async #makeAuthority(draft: string): Promise<void> {
    // Two authorities of one name would be taken for each other where both are trusted during a change.
    const subject = `/CN=baton test authority ${randomBytes(4).toString('hex')}`;
    await openssl(draft, [
      ...['req', '-x509', ...NEW_KEY, '-config', 'openssl.cnf', '-extensions', 'authority', '-subj', subject],
      ...['-days', String(AUTHORITY_DAYS), '-keyout', KEY, '-out', CERTIFICATE],
    ]);
  }

  /** All or nothing, and never over a file that somebody else made meanwhile. */
  #publish(draft: string, files: readonly string[]): void {
    const published: string[] = [];
    try {
      for (const file of files) {
        linkSync(join(draft, file), join(this.directory, file));
        published.push(file);
      }
    } catch (error) {
      for (const file of published) rmSync(join(this.directory, file), { force: true });
      throw error;
    }
  }

  #has(file: string): boolean {
    return existsSync(join(this.directory, file));
  }
}

async function makeNode({ name, role }: NodeName, authority: string, draft: string): Promise<void> {
  const [certificate = '', key = ''] = filesOf(name);
  await openssl(draft, [
    ...['req', '-x509', ...NEW_KEY, '-config', 'openssl.cnf', '-extensions', 'node', '-subj', `/CN=${name}`],
    ...['-addext', `subjectAltName=DNS:${name}`, '-addext', `extendedKeyUsage=${USES[role]}`],
    ...['-CA', join(authority, CERTIFICATE), '-CAkey', join(authority, KEY), '-days', String(NODE_DAYS)],
    ...['-keyout', key, '-out', certificate],
  ]);
}

function filesOf(name: string): string[] {
  return [`${name}.pem`, `${name}-key.pem`];
}
