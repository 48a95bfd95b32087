/** A request or tunnel in progress. */
export interface Task {
  /** Ends it at once; it reports back with `Running.remove`. */
  abort(): void;
}

/** What the relay is doing at the moment, so that it can wait for the end of it or put an end to it. */
export class Running {
  private readonly tasks = new Set<Task>();
  private waiting: (() => void)[] = [];

  add(task: Task): void {
    this.tasks.add(task);
  }

  remove(task: Task): void {
    this.tasks.delete(task);
    if (this.tasks.size === 0) this.release();
  }

  /** Resolves as soon as nothing runs. */
  idle(): Promise<void> {
    if (this.tasks.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  abortAll(): void {
    for (const task of [...this.tasks]) task.abort();
  }

  private release(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const resolve of waiting) resolve();
  }
}
