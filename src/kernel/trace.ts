import { writeFileSync } from 'node:fs';
import { threadId } from 'node:worker_threads';
const lines: string[] = [];
export function trace(label: string, flow: Buffer): void {
  lines.push(`${process.hrtime.bigint()} ${label} ${flow.toString('hex')} ${process.pid}.${threadId}`);
}
setInterval(() => {
  if (lines.length > 0) writeFileSync(`/tmp/prof/trace/${process.pid}.${threadId}`, lines.join('\n') + '\n');
}, 500).unref();
