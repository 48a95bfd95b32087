import { existsSync, rmdirSync } from 'node:fs';
import { isAbandoned, labDir, labOf, reserveId } from '../../src/lab/identity';

describe('the id of a lab', () => {
  test('is reserved by its directory, and says who owns it', () => {
    const ids = [reserveId(), reserveId()];
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) {
      expect(parseInt(id.slice(2, 7), 36)).toBe(process.pid);
      expect(existsSync(labDir(id))).toBe(true);
      expect(isAbandoned(id)).toBe(false);
      rmdirSync(labDir(id));
    }
  });

  test('runs out after 36 labs of one process', () => {
    const ids: string[] = [];
    expect(() => {
      while (ids.length <= 36) ids.push(reserveId());
    }).toThrow('this process has 36 labs already');
    expect(ids).toHaveLength(36);
    ids.forEach((id) => rmdirSync(labDir(id)));
  });

  test('of a process that cannot exist is abandoned', () => {
    // The kernel's process ids end at 2^22.
    expect(isAbandoned(`bt${(2 ** 22 + 1).toString(36)}0`)).toBe(true);
  });

  test.each(['bt00e8ov', 'bt00e8ov-sw', 'bt00e8ov-rt', 'bt00e8ov-c12', 'bt00e8ov-b1', 'baton-lab-bt00e8ov'])(
    'is found in %s',
    (name) => expect(labOf(name)).toBe('bt00e8ov'),
  );

  test.each([
    'rt',
    'bt',
    'baton',
    'baton-lab-',
    'bt00e8',
    'bt00e8ov-x1',
    'bt00e8ov-c',
    'bt00e8ovv-c1',
    'xbt00e8ov-c1',
  ])('is not found in %s', (name) => expect(labOf(name)).toBeUndefined());

  test('of nobody is never abandoned: zero would be the whole process group', () => {
    expect(isAbandoned('bt000000')).toBe(false);
    expect(isAbandoned('something')).toBe(false);
  });
});
