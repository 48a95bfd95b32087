import { resolve } from 'node:path';
import { parseAddress } from './addresses';
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
  const seen = new Set<string | undefined>();
  vips.forEach((vip, index) => {
    const host = parseAddress(vip)?.host;
    if (seen.has(host)) report.add(['vips', index], `"${vip}" is already taken`);
    seen.add(host);
  });
}

function checkServe(serve: NonNullable<AgentInput['serve']>, directory: string, report: ProblemReport): void {
  const { upstream, app, listen } = serve;
  if (upstream !== undefined && app !== undefined)
    report.add(['serve'], 'has both "upstream" and "app": keep one');
  if (upstream === undefined && app === undefined) report.add(['serve'], 'needs either "upstream" or "app"');
  if (listen !== undefined && app === undefined) report.add(['serve', 'listen'], 'goes with "app" only');
  if (app !== undefined && !isFile(resolve(directory, app))) {
    report.add(['serve', 'app'], `there is no file ${JSON.stringify(resolve(directory, app))}`);
  }
}
