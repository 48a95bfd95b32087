import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformFileSync } from '@swc/core';
import { LabProcess } from '../../src/lab/lab-process';

const SOURCE = join(__dirname, '../../src/lab');

const PROGRAM = `
  require('./lab').Lab.create({ backends: 1 }).then((lab) => {
    const sleeper = lab.host('c1').spawn(['sleep', '1000']);
    console.log('lab ' + JSON.stringify({ id: lab.id, dir: lab.dir, sleeper: sleeper.pid }));
  });
`;

/** A program of its own that made a lab, with a process in it, and waits for what a test does to it. */
export interface Owner {
  readonly process: LabProcess;
  readonly id: string;
  readonly dir: string;
  /** Process id of the one in the lab. */
  readonly sleeper: number;
}

/** Compiles the lab into the directory and starts an owner there; `prelude` is code to run before it makes its lab. */
export async function startOwner(directory: string, prelude = ''): Promise<Owner> {
  for (const name of readdirSync(SOURCE)) {
    const { code } = transformFileSync(join(SOURCE, name), {
      module: { type: 'commonjs' },
      jsc: { target: 'es2023', parser: { syntax: 'typescript' } },
    });
    writeFileSync(join(directory, name.replace(/\.ts$/, '.js')), code);
  }
  const main = join(directory, 'owner.js');
  writeFileSync(main, prelude + PROGRAM);
  const owner = new LabProcess([process.execPath, main]);
  const line = await owner.waitForLine(/^lab /, 15_000);
  return { process: owner, ...(JSON.parse(line.slice('lab '.length)) as Omit<Owner, 'process'>) };
}
