import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import type { Credentials } from '../config/model';

/**
 * What both ends ask of TLS. Version 1.3 alone: both ends are of this house, so nothing older has to be understood.
 *
 * No tickets: a resumed session is not asked for its certificate again, so a node whose certificate is no longer
 * accepted could come back with one. OpenSSL still names sessions to its clients then, but nobody keeps them. Early data
 * (0-RTT) comes with resumption only, and Node has it off.
 */
export function contextOptions({ ca, cert, key }: Credentials): SecureContextOptions {
  return {
    ca,
    cert,
    key,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

/** Throws an Error of OpenSSL where the texts do not fit together. */
export function createContext(credentials: Credentials): SecureContext {
  return createSecureContext(contextOptions(credentials));
}
