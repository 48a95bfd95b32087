/**
 * Heads and bodies that have made one recipient read another request than the next one: what llhttp and HAProxy test
 * themselves against, and what the literature on request smuggling tries. Each is refused, or accepted for a reason.
 *
 * Where a body follows, it contains a request to /smuggled: whoever reads the framing differently serves it.
 */

/** A request as a server reads it. */
export interface Reading {
  readonly method: string;
  readonly url: string;
  /** '' where there is none. */
  readonly host: string;
  readonly body: string;
}

interface Case {
  readonly name: string;
  readonly bytes: string;
}

/** The front answers by itself and closes; nobody else sees a byte. */
export interface RefusedCase extends Case {
  readonly status: 400 | 431 | 505;
  readonly reason: string;
}

/** The front hands the connection over; what it read is what the application's server reads. */
export interface AcceptedCase extends Case {
  readonly why: string;
  /** Every request that the application gets to see. */
  readonly seen: readonly Reading[];
  /** The status of every response: the application's 200, or what its server says by itself. */
  readonly answers: readonly number[];
  /** Both where they differ behind a gate: the server reads a head again as its parser has understood it. */
  readonly judged?: Pick<AcceptedCase, 'seen' | 'answers'>;
}

const LINE = 'GET /x HTTP/1.1\r\n';
const POST = 'POST /x HTTP/1.1\r\n';
const HOST = 'Host: lab\r\n';
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: lab\r\n\r\n';
const CHUNKED = 'Transfer-Encoding: chunked\r\n';

function refused(
  reason: string,
  cases: Readonly<Record<string, string>>,
  status: RefusedCase['status'] = 400,
): RefusedCase[] {
  return Object.entries(cases).map(([name, bytes]) => ({ name, bytes, status, reason }));
}

/** A head with these field lines, and in front of the rest a body that is a request. */
const withFields = (fields: string): string => `${POST}${HOST}${fields}\r\n${SMUGGLED}`;
const withLength = (value: string): string => withFields(`Content-Length:${value}\r\n`);
const withCoding = (value: string): string => withFields(`Transfer-Encoding:${value}\r\n`);
const withHost = (value: string): string => `${LINE}Host:${value}\r\n\r\n${SMUGGLED}`;
const withTarget = (target: string, host = 'lab'): string =>
  `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n${SMUGGLED}`;
const withVersion = (version: string): string => `GET /x ${version}\r\n${HOST}\r\n${SMUGGLED}`;

export const REFUSED: readonly RefusedCase[] = [
  ...refused('framing_conflict', {
    'length, then chunked': withFields(`Content-Length: 5\r\n${CHUNKED}`),
    'chunked, then length': withFields(`${CHUNKED}Content-Length: 5\r\n`),
    'length 0, then chunked': withFields(`Content-Length: 0\r\n${CHUNKED}`),
    'chunked, then length 0, others between': withFields(`${CHUNKED}A: b\r\ncontent-length: 0\r\n`),
    'length and a coding that is none': withFields('Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n'),
  }),
  ...refused('content_length', {
    'length twice, equal': withFields('Content-Length: 5\r\nContent-Length: 5\r\n'),
    'length twice, different': withFields('Content-Length: 5\r\nContent-Length: 6\r\n'),
    'length twice, one empty': withFields('Content-Length: 5\r\nContent-Length:\r\n'),
    'length list, equal': withLength(' 5, 5'),
    'length list, different': withLength(' 5,6'),
    'length with a plus': withLength(' +5'),
    'length with a minus': withLength(' -5'),
    'length in hexadecimal': withLength(' 0x5'),
    'length in hexadecimal digits': withLength(' a'),
    'length with an exponent': withLength(' 5e0'),
    'length with a fraction': withLength(' 5.0'),
    'length with an underscore': withLength(' 5_0'),
    'length in quotes': withLength(' "5"'),
    'length with a parameter': withLength(' 5;a=b'),
    'length with a blank inside': withLength(' 5 0'),
    'length with a tab inside': withLength(' 5\t0'),
    'length and a word': withLength(' 5 bytes'),
    'length empty': withLength(''),
    'length of blanks': withLength(' \t '),
    'length of superscript digits': withLength(' \xb2'),
    'length and a no-break space': withLength(' 5\xa0'),
    'length above 2^53': withLength(' 9007199254740993'),
    'length above 2^64, 5 to who wraps around': withLength(' 18446744073709551621'),
    'length of 400 digits': withLength(` ${'9'.repeat(400)}`),
    'length in HTTP/1.0, twice': `POST /x HTTP/1.0\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\n${SMUGGLED}`,
  }),
  ...refused('transfer_encoding', {
    'coding identity': withCoding(' identity'),
    'coding chunked, identity': withCoding(' chunked, identity'),
    'coding identity, chunked': withCoding(' identity, chunked'),
    'coding gzip, chunked': withCoding(' gzip, chunked'),
    'coding chunked, chunked': withCoding(' chunked, chunked'),
    'coding xchunked': withCoding(' xchunked'),
    'coding chunkedx': withCoding(' chunkedx'),
    'coding chunk': withCoding(' chunk'),
    'coding with a comma behind': withCoding(' chunked,'),
    'coding with a comma in front': withCoding(' ,chunked'),
    'coding with a parameter': withCoding(' chunked;q=1'),
    'coding in quotes': withCoding(' "chunked"'),
    'coding in single quotes': withCoding(" 'chunked'"),
    'coding with a no-break space': withCoding(' chunked\xa0'),
    'coding with a high octet': withCoding(' \xffchunked'),
    'coding with a letter beyond ASCII': withCoding(' ch\xfanked'),
    'coding empty': withCoding(''),
    'coding of blanks': withCoding('  \t'),
    'coding on the next line': withCoding('\r\n chunked'),
    'coding twice, equal': withFields(`${CHUNKED}${CHUNKED}`),
    'coding twice, the last unknown': withFields(`${CHUNKED}Transfer-encoding: cow\r\n`),
    'coding twice, the first unknown': withFields(`Transfer-Encoding: cow\r\n${CHUNKED}`),
    'coding twice, one empty': withFields(`Transfer-Encoding:\r\n${CHUNKED}`),
    'coding in HTTP/1.0': `POST /x HTTP/1.0\r\n${HOST}${CHUNKED}\r\n0\r\n\r\n${SMUGGLED}`,
  }),
  ...refused('field_value', {
    'NUL behind the coding': withCoding(' chunked\0'),
    'NUL in front of the coding': withCoding(' \0chunked'),
    'vertical tab in front of the coding': withCoding(' \x0bchunked'),
    'form feed behind the coding': withCoding(' chunked\x0c'),
    'backspace in the coding': withCoding(' chunkedd\x08'),
    'NUL in a length': withLength(' 5\x000'),
    'DEL in a value': withFields('A: b\x7f\r\n'),
    'escape in a value': withFields('A: \x1b[2J\r\n'),
    'NUL in Host': withHost(' lab\0.evil'),
  }),
  ...refused('field_name', {
    'blank before the colon of the coding': withFields('Transfer-Encoding : chunked\r\n'),
    'tab before the colon of the coding': withFields('Transfer-Encoding\t: chunked\r\n'),
    'NUL before the colon of the coding': withFields('Transfer-Encoding\0: chunked\r\n'),
    'vertical tab before the colon': withFields('Transfer-Encoding\x0b: chunked\r\n'),
    'colon on the next line': withFields('Transfer-Encoding\r\n : chunked\r\n'),
    'blank before the colon of the length': withFields('Content-Length : 5\r\n'),
    'blank inside a name': withFields('Transfer Encoding: chunked\r\n'),
    'no-break space inside a name': withFields('Transfer\xa0Encoding: chunked\r\n'),
    'a name in brackets': withFields('(Transfer-Encoding): chunked\r\n'),
    'a name in quotes': withFields('"Transfer-Encoding": chunked\r\n'),
    'an empty name': withFields(': b\r\nContent-Length: 5\r\n'),
    'no colon': withFields('Transfer-Encoding\r\n'),
    'a line of one octet': withFields('X\r\n'),
    'an at sign in a name': withFields('Fo@: b\r\n'),
    'a request line among the fields': `${LINE}${HOST}${SMUGGLED}`,
    'blank before the colon of Host': `${LINE}Host : lab\r\n\r\n`,
  }),
  ...refused('obs_fold', {
    'folded after the request line': `${LINE} ${HOST}\r\n`,
    'folded after the request line, by a tab': `${LINE}\t${HOST}\r\n`,
    'folded Host': `${LINE}Host: lab\r\n .evil\r\n\r\n`,
    'folded field': withFields('A: b\r\n c\r\n'),
    'folded empty field': withFields('A:\r\n b\r\n'),
    'folded length': withFields('Content-Length: 5\r\n 0\r\n'),
    'a length in a fold': withFields('A: b\r\n Content-Length: 5\r\n'),
    'a coding in a fold': withFields('A: b\r\n\tTransfer-Encoding: chunked\r\n'),
    'a fold of blanks at the end': withFields('A: b\r\n \r\n'),
    'folded coding': withFields('Transfer-Encoding: chunked\r\n , identity\r\n'),
  }),
  ...refused('line_end', {
    'LF alone behind the request line': `GET /x HTTP/1.1\n${HOST}\r\n`,
    'LF alone everywhere': 'GET /x HTTP/1.1\nHost: lab\n\n',
    'LF alone behind a field': withFields('A: b\nTransfer-Encoding: chunked\r\n'),
    'LF alone behind an empty field': withFields('A:\nTransfer-Encoding: chunked\r\n'),
    'LF alone behind the coding': withFields('Transfer-Encoding: chunked\nA: b\r\n'),
    'LF alone at the end': `${LINE}${HOST}\n${SMUGGLED}`,
    'CR alone behind the request line': `GET /x HTTP/1.1\r${HOST}\r\n`,
    'CR alone behind a field': withFields('A: b\rTransfer-Encoding: chunked\r\n'),
    'CR alone behind an empty field': withFields('A:\rTransfer-Encoding: chunked\r\n'),
    'CR alone in a coding': withCoding(' \rchunked'),
    'CR twice behind a field': withFields('A: b\r\r\n'),
    'CR twice at the end': `${LINE}${HOST}\r\r\n`,
    'CR and another octet at the end': `${LINE}${HOST}\rZ${SMUGGLED}`,
    'CR alone in front': `\r${LINE}${HOST}\r\n`,
  }),
  ...refused('method', {
    'two blank lines in front': `\r\n\r\n${LINE}${HOST}\r\n`,
    'LF in front': `\n${LINE}${HOST}\r\n`,
    'a blank in front': ` ${LINE}${HOST}\r\n`,
    'a tab behind the method': `GET\t/x HTTP/1.1\r\n${HOST}\r\n`,
    'NUL in the method': `G\0ET /x HTTP/1.1\r\n${HOST}\r\n`,
    'a control octet in the method': `\x01GET /x HTTP/1.1\r\n${HOST}\r\n`,
    'a method in brackets': `(GET) /x HTTP/1.1\r\n${HOST}\r\n`,
    'a method with a colon': `GET: /x HTTP/1.1\r\n${HOST}\r\n`,
    'a method beyond ASCII': `G\xc9T /x HTTP/1.1\r\n${HOST}\r\n`,
    'a method of 33 letters': `${'A'.repeat(33)} /x HTTP/1.1\r\n${HOST}\r\n`,
    'a method alone': 'GET\r\n\r\n',
    'a TLS ClientHello': '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03',
    'a byte order mark': `\xef\xbb\xbf${LINE}${HOST}\r\n`,
  }),
  ...refused('connect', {
    CONNECT: 'CONNECT lab:443 HTTP/1.1\r\nHost: lab:443\r\n\r\n',
    'CONNECT with a path': `CONNECT /x HTTP/1.1\r\n${HOST}\r\n`,
  }),
  ...refused('target', {
    'two blanks before the target': `GET  /x HTTP/1.1\r\n${HOST}\r\n`,
    'a tab before the version': `GET /x\tHTTP/1.1\r\n${HOST}\r\n`,
    'HTTP/0.9 without a version': 'GET /x\r\n',
    'HTTP/0.9 with fields': `GET /x\r\n${HOST}\r\n`,
    'a fragment': withTarget('/x#/smuggled'),
    'a fragment in the query': withTarget('/x?a#b'),
    'a backslash in the path': withTarget('/x\\..\\smuggled'),
    'a NUL in the target': withTarget('/x\0'),
    'a tab in the target': withTarget('/x\ty'),
    'DEL in the target': withTarget('/x\x7f'),
    'a high octet in the target': withTarget('/\xe9'),
    'UTF-8 in the target': withTarget('/\xc3\xa9'),
    'an LF in the target': withTarget('/x\ny'),
    'a CR in the target': withTarget('/x\ry'),
    'no slash': withTarget('x'),
    'a query alone': withTarget('?x'),
    'authority-form without CONNECT': withTarget('lab:80'),
    'an asterisk and more': `OPTIONS *x HTTP/1.1\r\n${HOST}\r\n`,
    'an asterisk with a query': `OPTIONS *?x HTTP/1.1\r\n${HOST}\r\n`,
    'an asterisk without OPTIONS': withTarget('*'),
    'another scheme': withTarget('ftp://lab/x'),
    'a scheme without slashes': withTarget('http:lab/x'),
    'a scheme with one slash': withTarget('http:/lab/x'),
    'an absolute target without a host': withTarget('http:///x'),
    'user information in the target': withTarget('http://lab@evil/x', 'evil'),
    'a backslash in the authority': withTarget('http://lab\\@evil/x'),
    'two hosts in the target': withTarget('http://lab,evil/x'),
    'a port that is none in the target': withTarget('http://lab:80x/x'),
    'a port above 65535 in the target': withTarget('http://lab:65616/x'),
  }),
  ...refused('version', {
    'two blanks before the version': `GET /x  HTTP/1.1\r\n${HOST}\r\n`,
    'a blank in the target': `GET /x /y HTTP/1.1\r\n${HOST}\r\n`,
    'a blank behind the version': withVersion('HTTP/1.1 '),
    'a tab behind the version': withVersion('HTTP/1.1\t'),
    'lower case': withVersion('http/1.1'),
    'mixed case': withVersion('Http/1.1'),
    'no minor version': withVersion('HTTP/1'),
    'two digits': withVersion('HTTP/1.10'),
    'leading zeros': withVersion('HTTP/01.1'),
    'a comma': withVersion('HTTP/1,1'),
    'a blank inside': withVersion('HTTP/ 1.1'),
    HTTPS: withVersion('HTTPS/1.1'),
    ICE: withVersion('ICE/1.0'),
    RTSP: withVersion('RTSP/1.0'),
    'NUL in the version': withVersion('HTTP/1.1\0'),
    'nothing behind the blank': `GET /x \r\n${HOST}\r\n`,
  }),
  ...refused(
    'unsupported_version',
    {
      'HTTP/1.2': withVersion('HTTP/1.2'),
      'HTTP/1.9': withVersion('HTTP/1.9'),
      'HTTP/0.9': withVersion('HTTP/0.9'),
      'HTTP/2.0': withVersion('HTTP/2.0'),
      'HTTP/3.0': withVersion('HTTP/3.0'),
      'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    },
    505,
  ),
  ...refused('host_missing', {
    'no Host': `${LINE}\r\n${SMUGGLED}`,
    'no Host beside an absolute target': `GET http://lab/x HTTP/1.1\r\n\r\n`,
    'Host with an underscore instead': `${LINE}X_Host: lab\r\n\r\n`,
  }),
  ...refused('host_duplicate', {
    'Host twice, equal': `${LINE}${HOST}${HOST}\r\n`,
    'Host twice, different': `${LINE}${HOST}Host: evil\r\n\r\n`,
    'Host twice, one empty': `${LINE}Host:\r\n${HOST}\r\n`,
    'Host twice, in different cases': `${LINE}${HOST}hOST: evil\r\n\r\n`,
    'Host twice in HTTP/1.0': `GET /x HTTP/1.0\r\n${HOST}Host: evil\r\n\r\n`,
  }),
  ...refused('host_invalid', {
    'two hosts in one field': withHost(' lab, evil'),
    'a blank in Host': withHost(' lab evil'),
    'a tab in Host': withHost(' lab\tevil'),
    'user information in Host': withHost(' lab@evil'),
    'a path in Host': withHost(' lab/x'),
    'a scheme in Host': withHost(' http://lab'),
    'a query in Host': withHost(' lab?x'),
    'a fragment in Host': withHost(' lab#x'),
    'a backslash in Host': withHost(' lab\\evil'),
    'an escape in Host': withHost(' %6cab'),
    'a port that is none in Host': withHost(' lab:80x'),
    'a port above 65535 in Host': withHost(' lab:65616'),
    'a port with a plus': withHost(' lab:+80'),
    'two ports in Host': withHost(' lab:80:81'),
    'a port alone': withHost(' :80'),
    'an IPv6 address without brackets': withHost(' ::1'),
    'an IPv6 address with a zone': withHost(' [fe80::1%25eth0]'),
    'an open bracket': withHost(' [::1'),
    'a high octet in Host': withHost(' l\xe4b'),
  }),
  ...refused('host_mismatch', {
    'another host in the target': withTarget('http://evil/x'),
    'another port in the target': withTarget('http://lab:81/x'),
    'the port of another scheme': withTarget('https://lab/x', 'lab:80'),
    'an empty Host beside an absolute target': `GET http://lab/x HTTP/1.1\r\nHost:\r\n\r\n`,
  }),
  ...refused(
    'too_many_fields',
    { '101 fields': withFields(Array.from({ length: 100 }, (_, k) => `F${k}: v\r\n`).join('')) },
    431,
  ),
  ...refused(
    'head_too_large',
    {
      'a target that is too long': withTarget(`/${'x'.repeat(20_000)}`),
      'a name that is too long': withFields(`${'x'.repeat(20_000)}: y\r\n`),
      'a value that is too long': withFields(`A: ${'x'.repeat(20_000)}\r\n`),
      'many fields that are too long together': withFields(`A: ${'x'.repeat(1000)}\r\n`.repeat(20)),
    },
    431,
  ),
];

const READ: Reading = { method: 'GET', url: '/x', host: 'lab', body: '' };
const AGAIN: Reading = { ...READ, url: '/again' };
/** Behind every message that is whole: if its end is read too early or too late, this one is not read as it is. */
const NEXT = 'GET /again HTTP/1.1\r\nHost: lab\r\n\r\n';

/** Accepted, and the connection goes on. */
function served(name: string, why: string, message: string, reading: Partial<Reading>): AcceptedCase {
  return { name, why, bytes: message + NEXT, seen: [{ ...READ, ...reading }, AGAIN], answers: [200, 200] };
}

/** Accepted by the front, whose only interest is the head, and refused by the application's server. */
function left(name: string, why: string, bytes: string): AcceptedCase {
  return { name, why, bytes, seen: [], answers: [400] };
}

const posted = (body: string): Partial<Reading> => ({ method: 'POST', body });
const chunked = (chunks: string): string => `${POST}${HOST}${CHUNKED}\r\n${chunks}`;

const ONE_PARSER = 'bodies are read by the application alone, so nobody can read them differently';
const UNKNOWN_FIELD = 'a field of another name means nothing to any recipient';
const BEHIND = 'and the application is told of octets behind it before it answers';
const KNOWS = 'the application knows which methods it has';

export const ACCEPTED: readonly AcceptedCase[] = [
  served('a plain request', 'nothing is wrong with it', `${LINE}${HOST}\r\n`, {}),
  served('one blank line in front', 'RFC 9112 section 2.2 wants it', `\r\n${LINE}${HOST}\r\n`, {}),
  served('no blanks around values', 'they are optional', `${LINE}Host:lab\r\nA:b\r\n\r\n`, {}),
  served('blanks and tabs around Host', 'they are optional', `${LINE}Host: \t lab\t \r\n\r\n`, {}),
  served('an empty Host', 'RFC 9112 section 3.2', `${LINE}Host:\r\n\r\n`, { host: '' }),
  served('a port', 'it is part of Host, and routes do not look at it', `${LINE}Host: lab:8080\r\n\r\n`, {
    host: 'lab:8080',
  }),
  served('a literal address', 'a host', `${LINE}Host: [2001:db8::1]:80\r\n\r\n`, {
    host: '[2001:db8::1]:80',
  }),
  served('an absolute target', 'its host is that of Host', `GET HTTP://LAB:80/x HTTP/1.1\r\n${HOST}\r\n`, {
    url: 'HTTP://LAB:80/x',
  }),
  served('OPTIONS *', 'RFC 9112 section 3.2.4', `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, {
    method: 'OPTIONS',
    url: '*',
  }),
  served(
    'characters that paths do not have',
    'clients send them, and all recipients leave them as they are',
    `GET /"<>^\`{|}[] HTTP/1.1\r\n${HOST}\r\n`,
    { url: '/"<>^`{|}[]' },
  ),
  served('broken escapes', 'the application decodes', `GET /%zz%?%0d%0a HTTP/1.1\r\n${HOST}\r\n`, {
    url: '/%zz%?%0d%0a',
  }),
  served('high octets in a value', 'RFC 9110 section 5.5', `${LINE}${HOST}A: \xe9\xff\r\n\r\n`, {}),
  served('a hundred fields', 'the limit', `${LINE}${HOST}${'A: b\r\n'.repeat(99)}\r\n`, {}),
  served(
    'field names in any case',
    'they have none',
    `${POST}hOsT: lab\r\ncOnTeNt-LeNgTh: 5\r\n\r\nhello`,
    posted('hello'),
  ),
  served(
    'a length with zeros in front',
    '1*DIGIT',
    `${POST}${HOST}Content-Length: 0005\r\n\r\nhello`,
    posted('hello'),
  ),
  served(
    'a length with blanks behind',
    'they are optional',
    `${POST}${HOST}Content-Length: 5  \r\n\r\nhello`,
    posted('hello'),
  ),
  served(
    'GET with a body',
    'framing does not depend on the method',
    `${LINE}${HOST}Content-Length: 5\r\n\r\nhello`,
    {
      body: 'hello',
    },
  ),
  served(
    'a body that is a request',
    'its length says so',
    `${POST}${HOST}Content-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
    posted(SMUGGLED),
  ),
  served('length 0', 'no body', `${POST}${HOST}Content-Length: 0\r\n\r\n`, posted('')),
  served('Content_Length', UNKNOWN_FIELD, `${LINE}${HOST}Content_Length: 5\r\n\r\n`, {}),
  served('Transfer_Encoding', UNKNOWN_FIELD, `${LINE}${HOST}Transfer_Encoding: chunked\r\n\r\n`, {}),
  served('X-Content-Length', UNKNOWN_FIELD, `${LINE}${HOST}X-Content-Length: 5\r\n\r\n`, {}),
  served(
    'Transfer-Encoding in a value',
    UNKNOWN_FIELD,
    `${LINE}${HOST}A: Transfer-Encoding: chunked\r\n\r\n`,
    {},
  ),
  served(
    'TE',
    'it is about the response',
    `${LINE}${HOST}TE: chunked, trailers\r\nConnection: TE\r\n\r\n`,
    {},
  ),

  served('chunks', 'RFC 9112 section 7.1', chunked('5\r\nhello\r\n0\r\n\r\n'), posted('hello')),
  served(
    'chunked in capitals',
    'codings have no case',
    `${POST}${HOST}TRANSFER-ENCODING: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
    posted('hello'),
  ),
  served(
    'chunks with a request in them',
    ONE_PARSER,
    chunked(`${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`),
    posted(SMUGGLED),
  ),
  served(
    'sizes in both cases, zeros in front',
    ONE_PARSER,
    chunked('00a\r\n0123456789\r\nA\r\n0123456789\r\n000\r\n\r\n'),
    posted('01234567890123456789'),
  ),
  served('chunk extensions', ONE_PARSER, chunked('5;a;b=c;d="e f"\r\nhello\r\n0;x\r\n\r\n'), posted('hello')),
  served('trailers', ONE_PARSER, chunked('5\r\nhello\r\n0\r\nA: b\r\n\r\n'), posted('hello')),
  served(
    'trailers that look like framing',
    'fields behind the body do not frame it',
    chunked('5\r\nhello\r\n0\r\nHost: evil\r\nX-Length: 50\r\n\r\n'),
    posted('hello'),
  ),
  left('a chunk size in another notation', ONE_PARSER, chunked(`0x5\r\nhello\r\n0\r\n\r\n${NEXT}`)),
  left('a chunk size with a plus', ONE_PARSER, chunked(`+5\r\nhello\r\n0\r\n\r\n${NEXT}`)),
  left('a chunk size with a minus', ONE_PARSER, chunked(`-5\r\nhello\r\n0\r\n\r\n${NEXT}`)),
  left('a chunk size with a blank behind', ONE_PARSER, chunked(`5 \r\nhello\r\n0\r\n\r\n${NEXT}`)),
  left('a chunk size with a blank in front', ONE_PARSER, chunked(` 5\r\nhello\r\n0\r\n\r\n${NEXT}`)),
  left('a chunk size of 17 digits', ONE_PARSER, chunked(`10000000000000005\r\nhello\r\n0\r\n\r\n${NEXT}`)),
  left('no chunk size', ONE_PARSER, chunked(`\r\nhello\r\n0\r\n\r\n${NEXT}`)),
  left('an extension without a name', ONE_PARSER, chunked(`5;\r\nhello\r\n0\r\n\r\n${NEXT}`)),
  left('an LF alone behind a chunk size', ONE_PARSER, chunked(`5\nhello\r\n0\r\n\r\n${NEXT}`)),
  left('an LF alone behind an extension', ONE_PARSER, chunked(`5;a\nhello\r\n0\r\n\r\n${NEXT}`)),
  left('an LF alone behind a chunk', ONE_PARSER, chunked(`5\r\nhello\n0\r\n\r\n${NEXT}`)),
  left('a CR alone in an extension', ONE_PARSER, chunked(`5;a\rb\r\nhello\r\n0\r\n\r\n${NEXT}`)),
  left('a chunk that is longer than its size', ONE_PARSER, chunked(`5\r\nhello!\r\n0\r\n\r\n${NEXT}`)),
  {
    ...left(
      'a tab behind the coding',
      'blanks are optional; the application does not take a tab',
      `${POST}${HOST}Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n`,
    ),
    judged: { seen: [{ ...READ, ...posted('') }], answers: [200] },
  },

  {
    name: 'HTTP/1.0',
    why: `it ends after one request, ${BEHIND}`,
    bytes: `GET /x HTTP/1.0\r\n${HOST}\r\n${SMUGGLED}`,
    seen: [READ],
    answers: [400],
  },
  {
    name: 'HTTP/1.0 without Host',
    why: `it need not have one, ${BEHIND}`,
    bytes: `GET /x HTTP/1.0\r\n\r\n${SMUGGLED}`,
    seen: [{ ...READ, host: '' }],
    answers: [400],
  },
  {
    name: 'close and keep-alive',
    why: `close wins (RFC 9112 section 9.6), ${BEHIND}`,
    bytes: `${LINE}${HOST}Connection: keep-alive, close\r\n\r\n${SMUGGLED}`,
    seen: [READ],
    answers: [400],
  },
  {
    name: 'close and keep-alive in two fields',
    why: `close wins (RFC 9112 section 9.6), ${BEHIND}`,
    bytes: `${LINE}${HOST}Connection: close\r\nConnection: keep-alive\r\n\r\n${SMUGGLED}`,
    seen: [READ],
    answers: [400],
  },
  served(
    'Connection names Host',
    'the application is the last recipient',
    `${LINE}${HOST}Connection: Host\r\n\r\n`,
    {},
  ),
  served(
    'Connection names the length',
    'the application is the last recipient',
    `${POST}${HOST}Connection: Content-Length\r\nContent-Length: 5\r\n\r\nhello`,
    posted('hello'),
  ),
  served(
    'Connection names the coding',
    'the application is the last recipient',
    `${POST}${HOST}Connection: Transfer-Encoding\r\n${CHUNKED}\r\n5\r\nhello\r\n0\r\n\r\n`,
    posted('hello'),
  ),
  {
    name: 'Expect: 100-continue',
    why: 'the application invites the body',
    bytes: `${POST}${HOST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello${NEXT}`,
    seen: [{ ...READ, ...posted('hello') }, AGAIN],
    answers: [100, 200, 200],
  },
  {
    name: 'another expectation',
    why: 'the application cannot meet it and says so (RFC 9110 section 10.1.1)',
    bytes: `${POST}${HOST}Expect: a-miracle\r\nContent-Length: 5\r\n\r\nhello${NEXT}`,
    seen: [AGAIN],
    answers: [417, 200],
  },
  {
    name: 'Upgrade: h2c',
    why: 'an application that does not know it goes on in HTTP/1.1 (RFC 9110 section 7.8)',
    bytes: `${LINE}${HOST}Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n`,
    seen: [READ],
    answers: [200],
  },
  {
    name: 'Upgrade with a body',
    why: 'the body belongs to HTTP/1.1',
    bytes: `${POST}${HOST}Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
    seen: [{ ...READ, ...posted(SMUGGLED) }],
    answers: [200],
  },
  served('Upgrade without Connection', 'it is not asked for', `${LINE}${HOST}Upgrade: websocket\r\n\r\n`, {}),
  left('a method in lower case', KNOWS, `get /x HTTP/1.1\r\n${HOST}\r\n`),
  left('a method with special characters', KNOWS, `G!#$%&'*+-.^_\`|~ /x HTTP/1.1\r\n${HOST}\r\n`),
  left('a method that begins like another', KNOWS, `MKCOLA /x HTTP/1.1\r\n${HOST}\r\n`),
  left('a method of another protocol', KNOWS, `DESCRIBE /x HTTP/1.1\r\n${HOST}\r\n`),
  left('PRI in HTTP/1.1', KNOWS, `PRI /x HTTP/1.1\r\n${HOST}\r\n`),
  served('M-SEARCH', 'a method', `M-SEARCH /x HTTP/1.1\r\n${HOST}\r\n`, { method: 'M-SEARCH' }),
  {
    name: 'rubbish behind a request',
    why: `it is no request, ${BEHIND}`,
    bytes: `${LINE}${HOST}\r\n\0\0\0`,
    seen: [READ],
    answers: [400],
  },
];
