import { createHash, timingSafeEqual } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';

/** Fewer characters can be guessed; `openssl rand -hex 32` makes 64. */
const MIN_CHARACTERS = 16;
/** A header field of this length still passes every proxy; a longer file is a wrong one. */
const MAX_CHARACTERS = 1024;
/** What may stand behind `Bearer` (RFC 6750 section 2.1): anything else no client could send. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;
const CREDENTIALS = /^Bearer +([^ ]+) *$/i;
const HOW_TO_MAKE_ONE = 'make one with (umask 077; openssl rand -hex 32 > FILE)';

/** Write access of the group, and any access of others. */
const TOO_OPEN = 0o027;

/**
 * The operators' secret. Only its digest stays in memory: nothing that prints this object, and no core dump, shows the
 * token.
 */
export class AdminToken {
  readonly #digest: Buffer;

  private constructor(token: string) {
    this.#digest = digestOf(token);
  }

  /**
   * Reads a token file: one line. Refuses a file that others may read or write; its group may read it, because a file of
   * root's for a service without root's rights has to be `root:SERVICE 0640`.
   * @throws Error that names the file, the cause and what to do, never what the file holds.
   */
  static read(file: string): AdminToken {
    const refuse = (cause: string, error?: unknown): Error =>
      new Error(`admin.token_file ${file}: ${cause}`, { cause: error });
    let read: { readonly text: string; readonly stats: Stats };
    try {
      read = readBounded(file);
    } catch (error) {
      const [reason = ''] = (error as Error).message.split(',');
      throw refuse(`cannot read: ${reason}`, error);
    }
    const { text, stats } = read;
    if (!stats.isFile()) throw refuse('is no regular file');
    if ((stats.mode & TOO_OPEN) !== 0) {
      const mode = (stats.mode & 0o777).toString(8).padStart(4, '0');
      throw refuse(
        `its mode ${mode} lets others read or change it: chmod 600 it, or 640 for a service's group`,
      );
    }
    const token = text.replace(/\r?\n$/, '');
    if (token.length < MIN_CHARACTERS || token.length > MAX_CHARACTERS || !TOKEN.test(token)) {
      throw refuse(
        `is not one line of ${MIN_CHARACTERS} to ${MAX_CHARACTERS} letters, digits or any of -._~+/=: ${HOW_TO_MAKE_ONE}`,
      );
    }
    return new AdminToken(token);
  }

  /** Whether an Authorization field carries this token; takes the same time for every wrong one. */
  isIn(authorization: string | undefined): boolean {
    const [, given] = CREDENTIALS.exec(authorization ?? '') ?? [];
    return given !== undefined && timingSafeEqual(digestOf(given), this.#digest);
  }
}

/** Digests have one length, which timingSafeEqual needs, and say nothing about where two tokens begin to differ. */
function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/** Does not wait for the writer of a FIFO, and reads a device no further than a token is long. */
function readBounded(file: string): { text: string; stats: Stats } {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(fd);
    const bytes = Buffer.alloc(MAX_CHARACTERS + 3);
    const length = stats.isFile() ? readSync(fd, bytes) : 0;
    return { text: bytes.toString('latin1', 0, length), stats };
  } finally {
    closeSync(fd);
  }
}
