import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ControlTls, Credentials } from '../../src/config/model';

const CONF = `
[req]
distinguished_name = dn
[dn]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[plain]
`;

export interface Wanted {
  /** Without them there is no such extension. */
  readonly names?: readonly string[];
  readonly addresses?: readonly string[];
  readonly uses?: readonly string[];
  readonly commonName?: string;
  /** Name of the authority that signs it; its own without. */
  readonly by?: string;
  readonly days?: number;
  readonly isAuthority?: boolean;
}

/** Certificates of any kind, sound or not, made by the openssl program without the house's own code. */
export class Certificates {
  /** In a directory of its own, or beside others. */
  constructor(readonly directory = mkdtempSync(join(tmpdir(), 'baton-certificates-'))) {
    writeFileSync(this.file('openssl.cnf'), CONF);
  }

  file(name: string): string {
    return join(this.directory, name);
  }

  text(name: string): string {
    return readFileSync(this.file(name), 'utf8');
  }

  /** Makes NAME.pem and NAME-key.pem. */
  make(
    name: string,
    { names, addresses, uses, commonName = name, by, days = 2, isAuthority = false }: Wanted,
  ): X509Certificate {
    const key = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      `${name}-key.pem`,
    ];
    const alternatives = [
      ...(names ?? []).map((each) => `DNS:${each}`),
      ...(addresses ?? []).map((each) => `IP:${each}`),
    ];
    const extensions = [
      ...(alternatives.length > 0 ? ['-addext', `subjectAltName=${alternatives.join(',')}`] : []),
      ...(uses ? ['-addext', `extendedKeyUsage=${uses.join(',')}`] : []),
    ];
    const section = isAuthority ? 'authority' : 'plain';
    const common = ['-config', 'openssl.cnf', '-subj', `/CN=${commonName}`, '-extensions', section];
    // `req` takes no negative number of days, `x509` does.
    const request = ['req', '-new', ...common.slice(0, 4), ...key, ...extensions, '-out', `${name}.csr`];
    this.#openssl(
      days < 0
        ? request
        : [
            'req',
            '-x509',
            ...common,
            ...key,
            ...extensions,
            ...this.#signer(by),
            '-days',
            String(days),
            '-out',
            `${name}.pem`,
          ],
    );
    if (days < 0) {
      this.#openssl([
        'x509',
        '-req',
        '-in',
        `${name}.csr`,
        '-copy_extensions',
        'copyall',
        ...(by === undefined ? ['-key', `${name}-key.pem`] : this.#signer(by)),
        '-set_serial',
        '7',
        '-days',
        String(days),
        '-out',
        `${name}.pem`,
      ]);
    }
    return this.read(name);
  }

  /** An authority, its front `front-1` and its agent `b1`: what a sound cluster has. */
  makeCluster(authority = 'ca'): this {
    this.make(authority, { isAuthority: true });
    this.make('front-1', { names: ['front-1'], uses: ['clientAuth'], by: authority });
    this.make('b1', { names: ['b1'], uses: ['serverAuth'], by: authority });
    return this;
  }

  read(name: string): X509Certificate {
    return new X509Certificate(this.text(`${name}.pem`));
  }

  credentials(name: string, authority = 'ca'): Credentials {
    return {
      ca: this.text(`${authority}.pem`),
      cert: this.text(`${name}.pem`),
      key: this.text(`${name}-key.pem`),
    };
  }

  tls(name: string, allow?: readonly string[], authority = 'ca'): ControlTls {
    const files = {
      ca: this.file(`${authority}.pem`),
      cert: this.file(`${name}.pem`),
      key: this.file(`${name}-key.pem`),
    };
    return { ...files, ...(allow && { allow }), pem: this.credentials(name, authority) };
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  #signer(by: string | undefined): string[] {
    return by === undefined ? [] : ['-CA', `${by}.pem`, '-CAkey', `${by}-key.pem`];
  }

  #openssl(args: readonly string[]): void {
    execFileSync('openssl', args, { cwd: this.directory, stdio: 'pipe' });
  }
}
