/** What an operator needs to know of an error on a control channel; OpenSSL's own words name a line of its source. */

const NO_TLS = 'the peer does not speak TLS: see `control` in its configuration';
const OTHER_AUTHORITY = 'the certificate is of another authority than those in control.tls.ca';
const OTHER_VERSION = 'the peer does not speak TLS 1.3';
const EXPIRED = 'the certificate has expired';

/** By the codes of Node's errors: those of OpenSSL's library, and those of X509_verify_cert_error_string(3). */
const MEANINGS: Readonly<Record<string, string>> = {
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_HTTP_REQUEST: NO_TLS,
  ERR_SSL_HTTPS_PROXY_REQUEST: NO_TLS,
  ERR_SSL_UNSUPPORTED_PROTOCOL: OTHER_VERSION,
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: OTHER_VERSION,
  UNABLE_TO_GET_ISSUER_CERT: OTHER_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: OTHER_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: OTHER_AUTHORITY,
  DEPTH_ZERO_SELF_SIGNED_CERT: OTHER_AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: OTHER_AUTHORITY,
  CERT_SIGNATURE_FAILURE: OTHER_AUTHORITY,
  CERT_HAS_EXPIRED: EXPIRED,
  CERT_NOT_YET_VALID: 'the certificate is not valid yet: are the clocks right?',
  INVALID_PURPOSE: 'the certificate is not made for this role: see its extended key usage',
};

/** Why a stream failed, on one line of bounded length. */
export function explain(error: Error): string {
  const { code, reason, message } = error as Error & { readonly code?: string; readonly reason?: string };
  const meaning = explainCode(code);
  if (meaning !== undefined) return meaning;
  if (reason !== undefined) return `TLS: ${reason} (${code ?? 'no code'})`;
  return message;
}

/** What one of the codes above means. */
export function explainCode(code: string | undefined): string | undefined {
  if (code === undefined || !Object.hasOwn(MEANINGS, code)) return undefined;
  return `${MEANINGS[code] ?? ''} (${code})`;
}

/** TLS records begin with a type from 20 to 23 and the major version 3 (RFC 8446 section 5.1). */
export function looksLikeTls(bytes: Buffer, at: number): boolean {
  const type = bytes[at] ?? 0;
  return type >= 20 && type <= 23 && bytes[at + 1] === 3;
}
