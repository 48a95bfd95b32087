/** What a front accepts by default is of this size, and far longer than the head. */
export const HEAD_BYTES = 16 * 1024;

/** What a browser sends for a script of a page: 17 field lines. */
export const BROWSER_HEAD = Buffer.from(
  [
    'GET /shop/static/js/application.4f2a91c7.js?v=20260301&lang=en HTTP/1.1',
    'Host: www.example.com',
    'Connection: keep-alive',
    'sec-ch-ua: "Chromium";v="134", "Not:A-Brand";v="24", "Google Chrome";v="134"',
    'sec-ch-ua-platform: "Windows"',
    'sec-ch-ua-mobile: ?0',
    'User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/134.0.0.0 Safari/537.36',
    'Accept: */*',
    'Sec-Fetch-Site: same-origin',
    'Sec-Fetch-Mode: no-cors',
    'Sec-Fetch-Dest: script',
    'Referer: https://www.example.com/shop/category/garden?page=3&sort=price',
    'Accept-Encoding: gzip, deflate, br, zstd',
    'Accept-Language: en-GB,en;q=0.9,de;q=0.8',
    'Cookie: session=8c1f3a5e9d7b4c2fa0e61b83d5f79a2c; consent=1; theme=dark; cart=3f9a1c',
    'If-None-Match: "4f2a91c7-1b2c3"',
    'Cache-Control: max-age=0',
    'DNT: 1',
    '',
    '',
  ].join('\r\n'),
  'latin1',
);
