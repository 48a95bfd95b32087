import { LabProcess } from '../../src/lab/lab-process';

function shell(script: string, env: Record<string, string> = {}): LabProcess {
  return new LabProcess(['sh', '-c', script], { env });
}

/** A shell that says `ready` and then waits to be ended. */
async function waitingShell(before = ''): Promise<LabProcess> {
  const started = shell(`${before} echo ready; exec sleep 1000`);
  await started.waitForLine('ready', 5_000);
  return started;
}

describe('LabProcess', () => {
  test('keeps both outputs, as text and as lines, and adds to the environment', async () => {
    const process_ = shell('echo "out $WORD"; echo err >&2; printf unfinished', { WORD: 'of mine' });
    expect(await process_.exited).toEqual({ code: 0, signal: null });
    expect(process_.stdoutText).toBe('out of mine\nunfinished');
    expect(process_.stderrText).toBe('err\n');
    expect([...process_.lines].sort()).toEqual(['err', 'out of mine', 'unfinished']);
  });

  test('finds a line that comes, and one that has come', async () => {
    const process_ = await waitingShell('echo first; echo second >&2;');
    expect(await process_.waitForLine(/^f.rst$/g, 1_000)).toBe('first');
    expect(await process_.waitForLine((line) => line.startsWith('sec'), 1_000)).toBe('second');
    await process_.stop();
  });

  test('ends the wait for a line at once when the process ends, with its output', async () => {
    const process_ = shell('echo the reason >&2; exit 3');
    const wait = process_.waitForLine('never', 60_000);
    await expect(wait).rejects.toThrow(/wait for never of sh .*: the process ended with code 3\nthe reason/);
    await expect(process_.waitForLine('never', 60_000)).rejects.toThrow('ended with code 3');
  });

  test('ends the wait for a line when its time is over', async () => {
    const process_ = await waitingShell();
    await expect(process_.waitForLine('never', 10)).rejects.toThrow('not seen within 10 ms\nready');
    await process_.stop();
  });

  test('reports the end although a child holds the output open', async () => {
    const process_ = shell('sleep 2 & echo $!');
    expect(await process_.exited).toEqual({ code: 0, signal: null });
    process.kill(Number(process_.stdoutText));
  }, 1_900);

  test('sends signals to the program, until it has ended', async () => {
    const process_ = await waitingShell();
    expect(process_.kill('SIGKILL')).toBe(true);
    expect(await process_.exited).toEqual({ code: null, signal: 'SIGKILL' });
    expect(process_.kill('SIGKILL')).toBe(false);
  });

  test('stops a process that does not run', async () => {
    const process_ = await waitingShell();
    process_.kill('SIGSTOP');
    expect(await process_.stop()).toEqual({ code: null, signal: 'SIGTERM' });
  });

  test('stops a process that ignores being asked', async () => {
    const process_ = await waitingShell('trap "" TERM;');
    expect(await process_.stop()).toEqual({ code: null, signal: 'SIGKILL' });
  });

  test('throws where the program cannot be started', () => {
    expect(() => new LabProcess(['/nowhere/program'])).toThrow('start /nowhere/program: not found');
  });
});
