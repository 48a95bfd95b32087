/** The services of agent-tcp.yaml, as built: what they leave when they let go of a connection, and what they make of that. */
import { join } from 'node:path';
import { execute } from '../../src/lab/execute';
import { report } from '../e2e/support';

interface Outcome {
  readonly whole: string;
  readonly places: number;
  readonly wrong: readonly unknown[];
}

test('a session goes on between any two octets, at another backend or where it was', async () => {
  const argv = [process.execPath, join(__dirname, 'sessions.fixture.mjs')];
  const { code, stdout, stderr } = await execute(argv, { timeoutMs: 60_000 });
  expect([code, stderr]).toEqual([0, '']);
  const { echo, chat } = JSON.parse(stdout) as Record<'echo' | 'chat', Outcome>;
  expect(echo.whole.split('\n').slice(0, 2)).toEqual(['42 somebody one', '43 me /name me']);
  expect(echo.whole).toContain('46 me the last\n');
  // The frames of: what was said, a pong, an answer, something longer than a byte tells, the end.
  expect(chat.whole).toMatch(
    /^\x81\x0eguest \(7\): one\x8a\x04ping\x81\nyou are me\x81~\0\x8ame \(8\): x+\x88\0$/,
  );
  expect([echo.wrong, chat.wrong]).toEqual([[], []]);
  report(`sessions: moved at each of ${echo.places} and ${chat.places} places`);
}, 60_000);
