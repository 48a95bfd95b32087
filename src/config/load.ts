import { dirname, resolve } from 'node:path';
import { checkAgent } from './agent-rules';
import type { AgentUse } from './agent-rules';
import { readAuthorities } from './authorities';
import { readCredentials } from './certificates';
import { parseYaml } from './document';
import type { Source } from './document';
import { checkFront } from './front-rules';
import type { AgentConfig, FrontConfig } from './model';
import { normaliseAgent, normaliseFront } from './normalise';
import { ProblemReport, failed } from './problems';
import type { Loaded } from './problems';
import { readText } from './read';
import { AGENT_SCHEMA, FRONT_SCHEMA } from './schema';
import { reportUnavailableInFront } from './unavailable';
import { validator } from './validate';

/*
 * file --read--> text --parseYaml--> plain data + positions --schema--> input --rules--> --normalise--> config
 *
 * The first stage that finds problems ends the way and reports all that it found: rules may rely on well-formed parts.
 */

const validateFront = validator(FRONT_SCHEMA);
const validateAgent = validator(AGENT_SCHEMA);

/** Keys that only one kind has tell a front's file from an agent's. */
const FRONT_KEYS = ['listeners', 'pools', 'routes', 'steering'];
const AGENT_KEYS = ['vips', 'serve', 'manage_vips'];

/** Reads a front's configuration. Never throws: an unreadable file is a problem at 1:1. */
export function loadFrontConfig(file: string): Loaded<FrontConfig> {
  return then(readText(file), (text) => parseFrontConfig(text, file));
}

/** Reads an agent's configuration. Never throws: an unreadable file is a problem at 1:1. */
export function loadAgentConfig(file: string): Loaded<AgentConfig> {
  return then(readText(file), (text) => parseAgentConfig(text, file));
}

/** Reads a configuration of either kind, told apart by its keys. */
export function loadConfig(file: string): Loaded<FrontConfig | AgentConfig> {
  return then(readText(file), (text) => parseConfig(text, file));
}

/** A front's configuration from its text; `file` is what relative paths are relative to. */
export function parseFrontConfig(text: string, file: string): Loaded<FrontConfig> {
  return then(parseYaml(text), (source) => frontFrom(source, directoryOf(file)));
}

/** An agent's configuration from its text; `file` is what relative paths are relative to. */
export function parseAgentConfig(text: string, file: string): Loaded<AgentConfig> {
  return then(parseYaml(text), (source) => standaloneAgentFrom(source, directoryOf(file)));
}

/** A configuration of either kind from its text. */
export function parseConfig(text: string, file: string): Loaded<FrontConfig | AgentConfig> {
  return then<Source, FrontConfig | AgentConfig>(parseYaml(text), (source) => {
    if (hasAnyKey(source.value, FRONT_KEYS)) return frontFrom(source, directoryOf(file));
    if (hasAnyKey(source.value, AGENT_KEYS)) return standaloneAgentFrom(source, directoryOf(file));
    const message = 'neither a front (listeners, routes, pools) nor an agent (vips, serve)';
    return failed([{ line: 1, column: 1, message }]);
  });
}

/**
 * The configuration of an agent inside a program, with the keys of agent.yaml but `serve`; `admin` has no default here.
 * Relative paths are relative to the working directory. Problems have no position. The value is not changed.
 */
export function parseAgentConfigObject(value: unknown): Loaded<AgentConfig> {
  let copy: unknown;
  try {
    copy = structuredClone(value);
  } catch {
    return failed([{ line: 0, column: 0, message: 'the configuration is not plain data' }]);
  }
  return agentFrom({ value: copy, locate: () => ({ line: 0, column: 0 }) }, 'attached', process.cwd());
}

function frontFrom({ value, locate }: Source, directory: string): Loaded<FrontConfig> {
  const report = new ProblemReport(locate);
  const input = validateFront(value, report);
  if (!input) return report.failure();
  checkFront(input, directory, report);
  reportUnavailableInFront(input, report);
  const pem = readCredentials(input, 'front', directory, report);
  const authorities = readAuthorities(input, directory, report);
  if (!report.empty) return report.failure();
  return { ok: true, config: normaliseFront(input, directory, pem, authorities) };
}

/** An agent that runs by itself always has an admin API; the empty mapping takes the schema's defaults. */
function standaloneAgentFrom({ value, locate }: Source, directory: string): Loaded<AgentConfig> {
  const withAdmin = isMapping(value) ? { admin: {}, ...value } : value;
  return agentFrom({ value: withAdmin, locate }, 'standalone', directory);
}

function agentFrom({ value, locate }: Source, use: AgentUse, directory: string): Loaded<AgentConfig> {
  const report = new ProblemReport(locate);
  const input = validateAgent(value, report);
  if (!input) return report.failure();
  checkAgent(input, use, directory, report);
  const pem = readCredentials(input, 'agent', directory, report);
  return report.empty ? { ok: true, config: normaliseAgent(input, directory, pem) } : report.failure();
}

function then<A, B>(loaded: Loaded<A>, next: (value: A) => Loaded<B>): Loaded<B> {
  return loaded.ok ? next(loaded.config) : loaded;
}

function directoryOf(file: string): string {
  return dirname(resolve(file));
}

function isMapping(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasAnyKey(value: unknown, keys: readonly string[]): boolean {
  return isMapping(value) && keys.some((key) => Object.hasOwn(value, key));
}
