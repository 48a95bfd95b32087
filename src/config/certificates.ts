import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { resolve } from 'node:path';
import { certificatesIn, hasName, isValidAt, namesOf, roleObjection, type Role } from '../wire/identity';
import { createContext } from '../wire/tls-context';
import type { TlsFiles } from './control';
import type { Credentials } from './model';
import type { ProblemReport } from './problems';
import { readText } from './read';

/** The first lines of keys in PEM (RFC 7468), and what tells an encrypted one in either of its forms (RFC 1421). */
const PRIVATE_KEY = /-----BEGIN ([A-Z]+ )?PRIVATE KEY-----/;
const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m;

/** What matters here of a front's or an agent's configuration. */
interface NodeInput {
  readonly node: string;
  readonly control: { readonly insecure?: true; readonly tls?: TlsFiles };
}

/**
 * Reads the files of `control.tls` and reports, at its key, what is wrong with each: a node that started with them would
 * be refused by all its peers. Undefined without `tls`, and where something is wrong.
 */
export function readCredentials(
  { node, control: { insecure, tls } }: NodeInput,
  role: Role,
  directory: string,
  report: ProblemReport,
): Credentials | undefined {
  // With both, which of them is meant has to be settled first.
  if (!tls || insecure) return undefined;
  const reader = new Reader(tls, directory, report);
  const authorities = reader.certificates('ca');
  const own = reader.certificates('cert');
  const key = reader.privateKey();
  if (!authorities || !own || !key) return undefined;

  const now = Date.now();
  if (!authorities.list.some((authority) => isValidAt(authority, now))) {
    reader.problem('ca', `no certificate in ${authorities.file} is valid today`);
  }
  for (const objection of ownObjections(own.list[0], key.object, node, role, now)) {
    reader.problem(...objection);
  }
  const pem = { ca: authorities.text, cert: own.text, key: key.text };
  if (report.empty) reader.tryOut(pem);
  return report.empty ? pem : undefined;
}

/** What peers, or OpenSSL, would find wrong with this node's own certificate; it is the first one of its file. */
function* ownObjections(
  certificate: X509Certificate | undefined,
  key: KeyObject,
  node: string,
  role: Role,
  now: number,
): Generator<['cert' | 'key', string]> {
  if (certificate === undefined) return;
  const { validFrom, validTo } = certificate;
  if (Date.parse(validTo) < now) yield ['cert', `the certificate expired on ${validTo}`];
  else if (!isValidAt(certificate, now)) yield ['cert', `the certificate is not valid before ${validFrom}`];
  const wrongRole = roleObjection(certificate, role);
  if (wrongRole !== undefined) yield ['cert', wrongRole];
  if (!hasName(certificate, node)) yield ['cert', `${namesOf(certificate)}, not ${node} as \`node\` says`];
  if (!certificate.checkPrivateKey(key))
    yield ['key', 'the key does not belong to the certificate of "cert"'];
}

/** Reads the files one by one; what is wrong with one is a problem at the value of its key. */
class Reader {
  constructor(
    private readonly files: TlsFiles,
    private readonly directory: string,
    private readonly report: ProblemReport,
  ) {}

  problem(key: keyof TlsFiles, message: string): void {
    this.report.add(['control', 'tls', key], message);
  }

  /** At least one certificate. */
  certificates(key: 'ca' | 'cert'): { file: string; text: string; list: X509Certificate[] } | undefined {
    return this.parse(key, 'certificate', (text, file) => {
      const list = certificatesIn(text);
      return list.length > 0 ? { file, text, list } : undefined;
    });
  }

  privateKey(): { text: string; object: KeyObject } | undefined {
    return this.parse('key', 'private key', (text) => {
      if (ENCRYPTED.test(text))
        throw new Error('it is encrypted, and nobody is there to ask for its passphrase');
      return PRIVATE_KEY.test(text) ? { text, object: createPrivateKey(text) } : undefined;
    });
  }

  /** What else OpenSSL may have against them: keys that are too short, algorithms that it does not know. */
  tryOut(pem: Credentials): void {
    try {
      createContext(pem);
    } catch (error) {
      this.report.add(['control', 'tls'], `OpenSSL does not take these files: ${(error as Error).message}`);
    }
  }

  /** `find` answers undefined where there is nothing of the kind, and throws where it cannot be read. */
  private parse<T>(
    key: keyof TlsFiles,
    what: string,
    find: (text: string, file: string) => T | undefined,
  ): T | undefined {
    const path = resolve(this.directory, this.files[key]);
    const file = JSON.stringify(path);
    const loaded = readText(path);
    if (!loaded.ok) {
      this.problem(key, `${file}: ${loaded.problems[0]?.message ?? 'cannot read'}`);
      return undefined;
    }
    try {
      const found = find(loaded.config, file);
      if (found === undefined) this.problem(key, `there is no ${what} in PEM in ${file}`);
      return found;
    } catch (error) {
      this.problem(key, `the ${what} in ${file} cannot be read: ${(error as Error).message}`);
      return undefined;
    }
  }
}
