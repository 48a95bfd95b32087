import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where Debian has libfaketime(1); the directory above it is named after the architecture. */
const ARCHITECTURE = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
const LIBRARY = `/usr/lib/${ARCHITECTURE}-linux-gnu/faketime/libfaketimeMT.so.1`;

/**
 * Wall clocks of programs, which jump when they are told to, each for itself; the machine's clock stays as it is. What a
 * program asks libc for CLOCK_REALTIME is answered with an offset, in all of its threads; CLOCK_MONOTONIC goes on as it does on a
 * host whose clock is set.
 */
export class Clocks {
  readonly #directory = mkdtempSync(join(tmpdir(), 'baton-clocks-'));

  constructor() {
    if (!existsSync(LIBRARY)) throw new Error(`${LIBRARY} is missing: run deploy/setup.sh`);
  }

  /** The command that gives a program a clock of its own, and becomes it. */
  through(program: string): readonly string[] {
    this.jump(program, 0);
    return [
      'env',
      `LD_PRELOAD=${LIBRARY}`,
      `FAKETIME_TIMESTAMP_FILE=${this.#file(program)}`,
      'FAKETIME_NO_CACHE=1',
      'FAKETIME_DONT_FAKE_MONOTONIC=1',
      'NO_FAKE_STAT=1',
    ];
  }

  /** Sets a program's clock to this many hours from the machine's. */
  jump(program: string, hours: number): void {
    const next = `${this.#file(program)}.next`;
    writeFileSync(next, `${hours < 0 ? '' : '+'}${hours}h\n`);
    // In one step: the program reads the file at every question.
    renameSync(next, this.#file(program));
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #file(program: string): string {
    return join(this.#directory, program);
  }
}
