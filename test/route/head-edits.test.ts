import type { RoutableHead } from '../../src/peek/head';
import { addedBytes, changesTo, type HeadEdits } from '../../src/route/head-edits';

const head = (path: string, fields: Readonly<Record<string, string>> = {}): RoutableHead => ({
  method: 'GET',
  host: 'a',
  path,
  query: '',
  header: (name) => fields[name],
});

const newId = () => 'new-id';
const EDITS: HeadEdits = { set: [['X-Tenant', 'gold']], remove: ['x-debug'] };

test('fields that are set go first', () => {
  expect(changesTo(head('/a'), EDITS, newId)).toEqual({
    set: [['X-Tenant', 'gold']],
    without: ['x-debug', 'x-tenant'],
  });
});

test('a prefix is cut off where there is one', () => {
  const edits = { ...EDITS, strip_prefix: '/api' };
  expect(changesTo(head('/api/a'), edits, newId)).toMatchObject({ path: '/a' });
  expect(changesTo(head('/apis'), edits, newId)).not.toHaveProperty('path');
});

test.each([
  [undefined, 'new-id'],
  ['', 'new-id'],
  ['a', 'a'],
  ['0123456789abcdef0123456789abcdef', '0123456789abcdef0123456789abcdef'],
  ['6f1c1b9e-2b1f-4b5c-9a51-0d6d0c6f8a11', '6f1c1b9e-2b1f-4b5c-9a51-0d6d0c6f8a11'],
  ['req:1/2.3_4=5+6@7', 'req:1/2.3_4=5+6@7'],
  ['x'.repeat(128), 'x'.repeat(128)],
  ['x'.repeat(129), 'new-id'],
  // Two lines.
  ['a, b', 'new-id'],
  ['a b', 'new-id'],
  ['a"b', 'new-id'],
  ['a\n', 'new-id'],
  ['$(id)', 'new-id'],
  ['\xe9', 'new-id'],
])('the id %j is %j', (sent, id) => {
  const fields: Record<string, string> = sent === undefined ? {} : { 'x-request-id': sent };
  const { set, without } = changesTo(head('/', fields), { ...EDITS, request_id: 'X-Request-Id' }, newId);
  expect(set).toEqual([
    ['X-Tenant', 'gold'],
    ['X-Request-Id', id],
  ]);
  expect(without).toContain('x-request-id');
});

test('what is added is bounded by the longest id', () => {
  expect(addedBytes(EDITS)).toBe('X-Tenant: gold\r\n'.length);
  expect(addedBytes({ set: [], remove: ['a'], request_id: 'I' })).toBe('I: \r\n'.length + 128);
});
