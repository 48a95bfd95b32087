import fc from 'fast-check';

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
const TOKEN = `${LETTERS}0123456789!#$%&'*+-.^_\`|~`;
const VISIBLE = Array.from({ length: 94 }, (_, i) => String.fromCharCode(0x21 + i)).join('');

function stringOf(characters: string, minLength: number, maxLength: number): fc.Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom(...Array.from(characters)), minLength, maxLength });
}

/** Fields with a meaning for the message are generated on purpose, not by chance. */
const SPECIAL = ['host', 'upgrade', 'content-length', 'transfer-encoding'];

const field = fc.record({
  name: stringOf(TOKEN, 1, 20).filter((name) => !SPECIAL.includes(name.toLowerCase())),
  before: stringOf(' \t', 0, 3),
  value: stringOf(`${VISIBLE} \t\x80\xe9\xff`, 0, 40).map((value) => value.replace(/^[ \t]+|[ \t]+$/g, '')),
  after: stringOf(' \t', 0, 3),
});

/** A head that Http1Peek accepts, and its parts. */
export const validHead = fc
  .record({
    emptyLine: fc.boolean(),
    method: stringOf(TOKEN, 1, 32).filter((method) => method !== 'CONNECT'),
    path: stringOf(VISIBLE.replace(/[#?\\]/g, ''), 0, 40).map((path) => `/${path}`),
    query: fc.option(stringOf(VISIBLE.replace('#', ''), 0, 40), { nil: undefined }),
    absolute: fc.boolean(),
    minorVersion: fc.constantFrom<0 | 1>(0, 1),
    host: fc.oneof(
      stringOf(`${LETTERS}0123456789-._~!$&'()*+;=`, 1, 30),
      fc.ipV4(),
      fc.ipV6().map((address) => `[${address}]`),
    ),
    port: fc.option(fc.integer({ min: 0, max: 65535 }), { nil: undefined }),
    contentLength: fc.option(fc.maxSafeNat(), { nil: undefined }),
    fields: fc.array(field, { maxLength: 12 }),
  })
  .map((parts) => ({ ...parts, text: spell(parts) }));

function spell(parts: {
  emptyLine: boolean;
  method: string;
  path: string;
  query: string | undefined;
  absolute: boolean;
  minorVersion: 0 | 1;
  host: string;
  port: number | undefined;
  contentLength: number | undefined;
  fields: readonly { name: string; before: string; value: string; after: string }[];
}): string {
  const authority = parts.port === undefined ? parts.host : `${parts.host}:${parts.port}`;
  const query = parts.query === undefined ? '' : `?${parts.query}`;
  const target = `${parts.absolute ? `http://${authority.toUpperCase()}` : ''}${parts.path}${query}`;
  const lines = parts.fields.map(({ name, before, value, after }) => `${name}:${before}${value}${after}`);
  // Host in the middle, so that nothing depends on its place.
  lines.splice(lines.length >> 1, 0, `Host: ${authority}`);
  if (parts.contentLength !== undefined) lines.push(`Content-Length: ${parts.contentLength}`);
  const start = `${parts.emptyLine ? '\r\n' : ''}${parts.method} ${target} HTTP/1.${parts.minorVersion}`;
  return [start, ...lines, '', ''].join('\r\n');
}

/** Octets that go, and others in their place. */
export const mutation = fc.record({
  at: fc.nat(),
  removed: fc.integer({ min: 0, max: 2 }),
  added: fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((octet) => String.fromCharCode(octet)),
    maxLength: 2,
  }),
});

export function mutate(
  text: string,
  { at, removed, added }: { at: number; removed: number; added: string },
): string {
  const place = at % text.length;
  return text.slice(0, place) + added + text.slice(place + removed);
}
