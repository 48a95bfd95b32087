/** What a signal has to clear up: a lab. */
interface Destroyable {
  destroy(): Promise<void>;
}

/** The signals that end a program on purpose; after a crash the next lab removes what was left. */
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

const labs = new Set<Destroyable>();

/** From now on a signal that ends this process destroys the lab first. */
export function destroyOnSignal(lab: Destroyable): void {
  labs.add(lab);
  for (const signal of SIGNALS) {
    if (!process.listeners(signal).includes(handle)) process.prependListener(signal, handle);
  }
}

/** The undo of `destroyOnSignal`: without labs the process treats signals as if there had never been one. */
export function forget(lab: Destroyable): void {
  labs.delete(lab);
  if (labs.size > 0) return;
  for (const signal of SIGNALS) process.off(signal, handle);
}

/** Runs before the program's own listeners, so that one for a single time still counts here. */
function handle(signal: NodeJS.Signals): void {
  const programDecides = process.listenerCount(signal) > 1;
  void Promise.allSettled([...labs].map((lab) => lab.destroy())).then((results) => {
    for (const result of results) if (result.status === 'rejected') console.error(result.reason);
    // Listening kept the signal from ending the process; without another listener it does so now.
    if (!programDecides) process.kill(process.pid, signal);
  });
}
