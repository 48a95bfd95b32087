import * as errors from '../../src/kernel/errors';

test.each([
  [1, 'EPERM'],
  [2, 'ENOENT'],
  // Linux has two names for this number; the manual pages and the kernel speak of EAGAIN.
  [11, 'EAGAIN'],
  [95, 'EOPNOTSUPP'],
  [99, 'EADDRNOTAVAIL'],
  [5000, 'errno 5000'],
])('errno %i is %s', (errno, name) => expect(errors.errnoName(errno)).toBe(name));

test('the numbers are those of Linux', () => {
  const { EPERM, ENOENT, EINTR, E2BIG, EAGAIN, EEXIST, EINVAL, EADDRINUSE, EADDRNOTAVAIL } = errors;
  const numbers = [EPERM, ENOENT, EINTR, E2BIG, EAGAIN, EEXIST, EINVAL, EADDRINUSE, EADDRNOTAVAIL];
  expect(numbers).toEqual([1, 2, 4, 7, 11, 17, 22, 98, 99]);
});

test('must passes results through and turns -errno into an error that names the step', () => {
  expect(errors.must(0, 'open')).toBe(0);
  expect(errors.must(7, 'open')).toBe(7);
  let caught: unknown;
  try {
    errors.must(-1, 'open the door');
  } catch (error) {
    caught = error;
  }
  expect(caught).toMatchObject({ name: 'KernelError', step: 'open the door', errno: 1, code: 'EPERM' });
});

test('the message is step, name and hint', () => {
  expect(new errors.KernelError('pin map', 1).message).toBe('pin map: EPERM');
  expect(new errors.KernelError('pin map', 1, 'needs CAP_BPF').message).toBe(
    'pin map: EPERM (needs CAP_BPF)',
  );
});
