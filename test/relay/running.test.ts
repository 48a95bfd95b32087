import { Running } from '../../src/relay/running';

const task = () => ({ abort: () => undefined });

test('is idle at first', async () => {
  await new Running().idle();
});

test('becomes idle with the last of its tasks, for everybody who waits', async () => {
  const running = new Running();
  const [a, b] = [task(), task()];
  running.add(a);
  running.add(b);
  let idle = false;
  const first = running.idle().then(() => {
    idle = true;
  });
  const second = running.idle();
  running.remove(a);
  await Promise.resolve();
  expect(idle).toBe(false);
  running.remove(b);
  await Promise.all([first, second]);
});

test('aborts every task, also those that go away while it does', () => {
  const running = new Running();
  const aborted: string[] = [];
  for (const name of ['a', 'b']) {
    const made = {
      abort: () => {
        aborted.push(name);
        running.remove(made);
      },
    };
    running.add(made);
  }
  running.abortAll();
  expect(aborted).toEqual(['a', 'b']);
});
