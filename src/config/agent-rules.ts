import { resolve } from 'node:path';
import { checkAccessLog } from './access-log';
import { formatVip, parseVip } from './addresses';
import { checkAdmin } from './admin';
import { checkControl } from './control';
import { isFile } from './files';
import type { ProblemReport } from './problems';
import type { AgentInput } from './schema';

/** Who an agent's configuration is for: a file's agent serves by itself, an attached one serves its host program. */
export type AgentUse = 'standalone' | 'attached';

/** What must hold between the parts of an agent's configuration, once each part is well-formed by itself. */
export function checkAgent(input: AgentInput, use: AgentUse, directory: string, report: ProblemReport): void {
  checkControl(input.control, report);
  if (input.admin) checkAdmin(input.admin, directory, report);
  if (input.access_log) checkAccessLog(input.access_log, directory, report);
  checkVips(input.vips, report);
  if (use === 'attached') {
    if (input.serve) report.add(['serve'], 'must be left out: the attached server serves');
  } else if (input.serve) {
    checkServe(input.serve, directory, report);
  } else {
    report.add([], 'key "serve" is missing');
  }
}

function checkVips(vips: readonly string[], report: ProblemReport): void {
  const parsed = vips.map(parseVip);
  const whole = new Set(parsed.map((vip) => (vip?.port === undefined ? vip?.host : undefined)));
  const seen = new Set<string>();
  parsed.forEach((vip, index) => {
    if (vip === undefined) return;
    const text = formatVip(vip);
    if (seen.has(text)) report.add(['vips', index], `"${vips[index] ?? ''}" is already taken`);
    else if (vip.port !== undefined && whole.has(vip.host))
      report.add(['vips', index], `adds nothing to ${vip.host}, which stands for all its ports`);
    seen.add(text);
  });
}

function checkServe(serve: NonNullable<AgentInput['serve']>, directory: string, report: ProblemReport): void {
  const { upstream, app, listen, tcp } = serve;
  if (upstream !== undefined && app !== undefined)
    report.add(['serve'], 'has both "upstream" and "app": keep one');
  if (upstream === undefined && app === undefined && tcp === undefined)
    report.add(['serve'], 'needs "upstream" or "app", "tcp", or both kinds');
  if (listen !== undefined && app === undefined) report.add(['serve', 'listen'], 'goes with "app" only');
  for (const [key, file] of Object.entries({ app, tcp })) {
    if (file !== undefined && !isFile(resolve(directory, file)))
      report.add(['serve', key], `there is no file ${JSON.stringify(resolve(directory, file))}`);
  }
}
