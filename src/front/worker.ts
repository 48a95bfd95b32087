/** Entry of an accepting thread (worker_threads): plumbing between the main thread's messages and AcceptingThread. */
import { parentPort, workerData } from 'node:worker_threads';
import { createLogger } from '../observe/log';
import { LogLane } from '../observe/log-lane';
import { EbpfFlowTable } from '../steer/ebpf-flow-table';
import { AcceptingThread } from './accepting-thread';
import type { FromWorker, ToWorker, WorkerData } from './messages';

const data = workerData as WorkerData;
const lane = new LogLane(data.log, (line) => say({ type: 'log', line }));
const logger = createLogger({ node: data.config.node, component: 'front', to: lane }).child({
  worker: data.index,
});

function say(message: FromWorker): void {
  parentPort?.postMessage(message);
}

async function run(): Promise<void> {
  const thread = new AcceptingThread(data, new EbpfFlowTable(data.flowsFd, data.reviewFd), logger, {
    channelLost: (agent) => say({ type: 'channel_lost', agent }),
    moved: (what) => say({ type: 'moved', ...what }),
    failing: (what) => say({ type: 'failing', ...what }),
    recovered: (what) => say({ type: 'recovered', ...what }),
  });
  await thread.open();
  parentPort?.on('message', (message: ToWorker) => {
    switch (message.type) {
      case 'accept':
        attempt(() => thread.accept());
        return;
      case 'standing':
        thread.setStanding(message.pool, message.backend, message.standing);
        return;
      case 'stats':
        say({ type: 'stats', request: message.request, stats: thread.stats(), status: thread.status() });
        return;
      case 'hurry':
        thread.hurry(message.graceMs);
        return;
      case 'retire':
        void thread.retire(message.last).then(() => {
          say({ type: 'stopped', stats: thread.stats() });
          parentPort?.close();
        });
    }
  });
  say({ type: 'ready' });
}

function attempt(accept: () => void): void {
  try {
    accept();
    say({ type: 'listening' });
  } catch (error) {
    fail(error);
  }
}

function fail(error: unknown): void {
  say({ type: 'failed', message: error instanceof Error ? error.message : String(error) });
}

run().catch(fail);
