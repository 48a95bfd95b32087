import { IpError, ipBatch, ipEach } from '../../src/kernel/ip-batch';

/** Asking for a route takes no right. */
const GOOD = 'route get 127.0.0.1';

function errorOf(attempt: () => unknown): IpError {
  try {
    attempt();
  } catch (error) {
    if (error instanceof IpError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

test('answers come in the order of the commands, a line each', () => {
  const answers = ipBatch([GOOD, 'route get 127.0.0.2', GOOD]).trim().split('\n');
  const destinations = answers.map((line) => (JSON.parse(line) as { dst: string }[])[0]?.dst);
  expect(destinations).toEqual(['127.0.0.1', '127.0.0.2', '127.0.0.1']);
  expect(ipBatch([])).toBe('');
});

test.each([0, 1, 2])('an error names the command that was refused, here number %i', (index) => {
  const commands = [GOOD, GOOD, GOOD].with(index, 'address show dev nope0');
  const { command, said, message } = errorOf(() => ipBatch(commands));
  expect({ command, said, message }).toEqual({
    command: index,
    said: 'Device "nope0" does not exist.',
    message: 'ip: Device "nope0" does not exist.',
  });
});

test('`ip` does not say which command it cannot read', () => {
  const { command, said } = errorOf(() => ipBatch([GOOD, 'route get 300.0.0.1']));
  expect([command, said]).toEqual([-1, expect.stringMatching(/^Error: .*"300\.0\.0\.1"\.$/)]);
});

test('those that do not depend on each other are all tried, and each refusal has its reason', () => {
  const { output, refused } = ipEach([GOOD, 'address show dev nope0', GOOD, 'address show dev nope1']);
  expect(output.trim().split('\n')).toHaveLength(2);
  expect([...refused]).toEqual([
    [1, 'Device "nope0" does not exist.'],
    [3, 'Device "nope1" does not exist.'],
  ]);
});
