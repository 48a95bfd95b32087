import { HTTP1_REFUSALS } from '../../src/peek/http1';
import { readAtEverySplit } from './split';

const LINE = 'GET / HTTP/1.1\r\n';
const LINE_1_0 = 'GET / HTTP/1.0\r\n';
const HOST = 'Host: a.example\r\n';

describe('refused heads', () => {
  // The bar stands before the octet that decides: nothing is refused earlier, or later, than there.
  const bad: readonly (readonly [reason: string, head: string])[] = [
    ['method', '|\x16\x03\x01\x02\0'], // A TLS ClientHello.
    ['method', '|\0'],
    ['method', `| ${LINE}${HOST}\r\n`],
    ['method', `|\n${LINE}${HOST}\r\n`],
    ['method', `\r\n|\r\n${LINE}${HOST}\r\n`],
    ['method', `GET|\t/ HTTP/1.1\r\n${HOST}\r\n`],
    ['method', `G|(T / HTTP/1.1\r\n${HOST}\r\n`],
    ['method', `G|\xc9T / HTTP/1.1\r\n${HOST}\r\n`],
    ['method', `GET|\r\n\r\n`],
    ['method', `${'A'.repeat(32)}|A / HTTP/1.1\r\n${HOST}\r\n`],
    ['connect', 'CONNECT| a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n'],

    ['target', `GET | / HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `GET |a.example/ HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `GET |?a HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `GET |ftp://a.example/ HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `GET /|\r\n`], // HTTP/0.9.
    ['target', `GET /a|#b HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `GET /x|\\..\\admin HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `GET http://a.example|\\b HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `GET /a?b|#c HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `GET /a|\0b HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `GET /a|\tb HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `GET /a|\x7fb HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `GET /a|\xe9b HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `GET /a|\n HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `GET hello| HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `GET http:/a.example/| HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `GET http://| HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `GET http:///a.example| HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `GET http://u:p@a.example/| HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `GET http://a.example,b.example/| HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `GET http://a.example:8o/| HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `GET https:a.example/| HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `GET * HTTP/1.1\r|\n${HOST}\r\n`],
    ['target', `OPTIONS *a| HTTP/1.1\r\n${HOST}\r\n`],
    ['target', `OPTIONS *?a| HTTP/1.1\r\n${HOST}\r\n`],

    ['version', `GET /a |b HTTP/1.1\r\n${HOST}\r\n`],
    ['version', `GET / | HTTP/1.1\r\n${HOST}\r\n`],
    ['version', `GET / |\r\n`],
    ['version', `GET / |http/1.1\r\n${HOST}\r\n`],
    ['version', `GET / HTTP|S/1.1\r\n${HOST}\r\n`],
    ['version', `GET / HTTP/1|,1\r\n${HOST}\r\n`],
    ['version', `GET / HTTP/|+1.1\r\n${HOST}\r\n`],
    ['version', `GET / HTTP/1.|\r\n${HOST}\r\n`],
    ['version', `GET / HTTP/1.1|0\r\n${HOST}\r\n`],
    ['version', `GET / HTTP/1.1| \r\n${HOST}\r\n`],
    ['unsupported_version', 'PRI * HTTP/2.0\r|\n\r\nSM\r\n\r\n'],
    ['unsupported_version', `GET / HTTP/2.0\r|\n${HOST}\r\n`],
    ['unsupported_version', `GET / HTTP/1.2\r|\n${HOST}\r\n`],
    ['unsupported_version', `GET / HTTP/0.9\r|\n${HOST}\r\n`],

    ['line_end', `\r|${LINE}${HOST}\r\n`],
    ['line_end', `GET / HTTP/1.1|\n${HOST}\r\n`],
    ['line_end', `GET / HTTP/1.1\r|${HOST}\r\n`],
    ['line_end', `${LINE}Host: a.example|\n\r\n`],
    ['line_end', `${LINE}Host: a.example\r|\r\n\r\n`],
    ['line_end', `${LINE}${HOST}A: b\r|C: d\r\n\r\n`],
    ['line_end', `${LINE}${HOST}A: b|\nContent-Length: 5\r\n\r\n`],
    ['line_end', `${LINE}${HOST}|\n`],
    ['line_end', `${LINE}${HOST}\r|A`],

    ['obs_fold', `${LINE}| ${HOST}\r\n`],
    ['obs_fold', `${LINE}${HOST}A: b\r\n| c\r\n\r\n`],
    ['obs_fold', `${LINE}${HOST}Transfer-Encoding: chunked\r\n|\t, identity\r\n\r\n`],
    ['field_name', `${LINE}Host| : a.example\r\n\r\n`],
    ['field_name', `${LINE}${HOST}Content-Length|\t: 5\r\n\r\n`],
    ['field_name', `${LINE}${HOST}|: b\r\n\r\n`],
    ['field_name', `${LINE}${HOST}A|\r\n\r\n`],
    ['field_name', `${LINE}${HOST}A|(b): c\r\n\r\n`],
    ['field_name', `${LINE}${HOST}Transfer-Encoding|\0: chunked\r\n\r\n`],
    ['field_name', `${LINE}${HOST}Transfer|\xadEncoding: chunked\r\n\r\n`],
    ['field_value', `${LINE}${HOST}A: b|\0c\r\n\r\n`],
    ['field_value', `${LINE}${HOST}A: b|\x0bc\r\n\r\n`],
    ['field_value', `${LINE}${HOST}A: |\x7f\r\n\r\n`],
    ['field_value', `${LINE}${HOST}A: |\x1b[2J\r\n\r\n`],

    ['host_missing', `${LINE}\r|\n`],
    ['host_missing', `${LINE}A: b\r\n\r|\n`],
    ['host_missing', 'GET http://a.example/ HTTP/1.1\r\n\r|\n'],
    ['host_duplicate', `${LINE}${HOST}Host: b.example\r|\n\r\n`],
    ['host_duplicate', `${LINE}${HOST}${HOST.slice(0, -1)}|\n\r\n`],
    ['host_duplicate', `${LINE}Host:\r\nhost: a.example\r|\n\r\n`],
    ['host_duplicate', `${LINE_1_0}${HOST}Host: b.example\r|\n\r\n`],
    ['host_invalid', `${LINE}Host: a.example, b.example\r|\n\r\n`],
    ['host_invalid', `${LINE}Host: a.example,b.example\r|\n\r\n`],
    ['host_invalid', `${LINE}Host: a b\r|\n\r\n`],
    ['host_invalid', `${LINE}Host: user@a.example\r|\n\r\n`],
    ['host_invalid', `${LINE}Host: http://a.example\r|\n\r\n`],
    ['host_invalid', `${LINE}Host: a.example/b\r|\n\r\n`],
    ['host_invalid', `${LINE}Host: \xe9.example\r|\n\r\n`],
    ['host_invalid', `${LINE}Host: %61.example\r|\n\r\n`],
    ['host_invalid', `${LINE}Host: :80\r|\n\r\n`],
    ['host_invalid', `${LINE}Host: a.example:8x\r|\n\r\n`],
    ['host_mismatch', 'GET http://a.example/ HTTP/1.1\r\nHost: b.example\r|\n\r\n'],
    ['host_mismatch', 'GET http://a.example/ HTTP/1.1\r\nHost: a.example:443\r|\n\r\n'],
    ['host_mismatch', 'GET https://a.example/ HTTP/1.1\r\nHost: a.example:80\r|\n\r\n'],
    ['host_mismatch', 'GET http://a.example:8080/ HTTP/1.1\r\nHost: a.example\r|\n\r\n'],
    ['host_mismatch', 'GET http://a.example/ HTTP/1.1\r\nHost:\r|\n\r\n'],

    ['content_length', `${LINE}${HOST}Content-Length:\r|\n\r\n`],
    ['content_length', `${LINE}${HOST}Content-Length: +5\r|\n\r\n`],
    ['content_length', `${LINE}${HOST}Content-Length: -5\r|\n\r\n`],
    ['content_length', `${LINE}${HOST}Content-Length: 0x5\r|\n\r\n`],
    ['content_length', `${LINE}${HOST}Content-Length: 5 5\r|\n\r\n`],
    ['content_length', `${LINE}${HOST}Content-Length: 5, 5\r|\n\r\n`],
    ['content_length', `${LINE}${HOST}Content-Length: 1e3\r|\n\r\n`],
    ['content_length', `${LINE}${HOST}Content-Length: \xb2\r|\n\r\n`],
    ['content_length', `${LINE}${HOST}Content-Length: 9007199254740993\r|\n\r\n`],
    ['content_length', `${LINE}${HOST}Content-Length: 18446744073709551621\r|\n\r\n`],
    ['content_length', `${LINE}${HOST}Content-Length: 5\r\nContent-Length: 5\r|\n\r\n`],
    ['content_length', `${LINE}${HOST}Content-Length: 5\r\ncontent-length: 6\r|\n\r\n`],
    ['transfer_encoding', `${LINE}${HOST}Transfer-Encoding:\r|\n\r\n`],
    ['transfer_encoding', `${LINE}${HOST}Transfer-Encoding: identity\r|\n\r\n`],
    ['transfer_encoding', `${LINE}${HOST}Transfer-Encoding: xchunked\r|\n\r\n`],
    ['transfer_encoding', `${LINE}${HOST}Transfer-Encoding: gzip, chunked\r|\n\r\n`],
    ['transfer_encoding', `${LINE}${HOST}Transfer-Encoding: chunked, identity\r|\n\r\n`],
    ['transfer_encoding', `${LINE}${HOST}Transfer-Encoding: chunked, chunked\r|\n\r\n`],
    ['transfer_encoding', `${LINE}${HOST}Transfer-Encoding: , chunked\r|\n\r\n`],
    ['transfer_encoding', `${LINE}${HOST}Transfer-Encoding: chunked;a=b\r|\n\r\n`],
    ['transfer_encoding', `${LINE}${HOST}Transfer-Encoding: "chunked"\r|\n\r\n`],
    ['transfer_encoding', `${LINE}${HOST}Transfer-Encoding: chunked\xa0\r|\n\r\n`],
    ['transfer_encoding', `${LINE}${HOST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r|\n\r\n`],
    ['transfer_encoding', `${LINE}${HOST}Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r|\n\r\n`],
    ['transfer_encoding', `${LINE_1_0}${HOST}Transfer-Encoding: chunked\r|\n\r\n`],
    ['framing_conflict', `${LINE}${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r|\n\r\n`],
    ['framing_conflict', `${LINE}${HOST}Transfer-Encoding: chunked\r\nContent-Length: 5\r|\n\r\n`],
    ['framing_conflict', `${LINE}${HOST}Transfer-Encoding: chunked\r\nA: b\r\nContent-Length: 0\r|\n\r\n`],
  ];

  test.each(bad)('%s: %j', (reason, marked) => {
    const status = reason === 'unsupported_version' ? 505 : 400;
    const decidedAt = marked.indexOf('|') + 1;
    const head = marked.replace('|', '');
    expect(readAtEverySplit(head)).toEqual({ verdict: { outcome: 'malformed', reason, status }, decidedAt });
  });

  test('every reason is listed, and every listed reason is tested, here or with the limits', () => {
    const tested = [...bad.map(([reason]) => reason), 'head_too_large', 'too_many_fields'];
    expect(new Set(tested)).toEqual(new Set(HTTP1_REFUSALS));
  });
});
