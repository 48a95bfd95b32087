import { join } from 'node:path';
import { execute, type Result } from '../../src/lab/execute';
import { BACKEND_PORT, type Competitor } from './competitor';

const SOURCE = join(__dirname, 'l4-dsr.bpf.c');

/** A static hash in the kernel of the front's host: see l4-dsr.bpf.c. */
export const l4Dsr: Competitor = {
  name: 'l4-dsr',
  proxy: false,
  version: () => Promise.resolve('eBPF'),
  start: async ({ lab, frontHost }) => {
    const object = join(lab.dir, 'l4-dsr.bpf.o');
    must(
      await execute(
        compile(
          object,
          lab.backends.map(({ address4 }) => address4),
        ),
      ),
    );
    // In front of the steering program, which is at preference 1 or behind: it passes on what is not its own.
    const attach = ['tc', 'filter', 'add', 'dev', 'eth0', 'ingress', 'pref', '1', 'protocol', 'all'];
    must(await frontHost.run([...attach, 'bpf', 'direct-action', 'object-file', object, 'section', 'tc']));
    return { targets: [`${lab.vip4}:${BACKEND_PORT}`], pid: undefined };
  },
};

function compile(object: string, [first = '', second = '']: readonly string[]): string[] {
  const headers = `/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
  const defines = [
    `-DVIP_PORT=${BACKEND_PORT}`,
    `-DBACKEND_1=${numberOf(first)}`,
    `-DBACKEND_2=${numberOf(second)}`,
  ];
  return ['clang', '-O2', '-g', '-target', 'bpf', `-I${headers}`, ...defines, '-c', SOURCE, '-o', object];
}

/** An IPv4 address as a C literal. */
function numberOf(address: string): string {
  const bytes = Buffer.from(address.split('.').map(Number));
  return `0x${bytes.toString('hex')}u`;
}

function must({ code, stderr }: Result): void {
  if (code !== 0) throw new Error(`l4-dsr: ${stderr}`);
}
