import type { Static, TSchema } from '@sinclair/typebox';
import { Ajv } from 'ajv';
import { isIPv6 } from 'node:net';
import { parseAddress, parseEndpoint, parseVip } from './addresses';
import { isAdminListen } from './admin';
import { isDiscoveredVia, isDnsName } from './discovery';
import { parseDuration } from './durations';
import { explain } from './explain';
import type { ProblemReport } from './problems';

const HOST_PATTERN = /^(\*\.)?[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63}){0,126}$/i;

const ajv = new Ajv({
  strict: true,
  allErrors: true,
  verbose: true,
  useDefaults: true,
  allowUnionTypes: true,
});
ajv.addKeyword('expected');
ajv.addFormat('duration', (text) => parseDuration(text) !== undefined);
ajv.addFormat('address', (text) => parseAddress(text) !== undefined);
ajv.addFormat('vip', (text) => parseVip(text) !== undefined);
ajv.addFormat('endpoint', (text) => (parseEndpoint(text)?.port ?? 0) > 0);
ajv.addFormat('admin-listen', isAdminListen);
ajv.addFormat('dns-name', isDnsName);
ajv.addFormat('discovered-via', isDiscoveredVia);
ajv.addFormat('host-pattern', (text) => HOST_PATTERN.test(text) || isIPv6(text));
ajv.addFormat('origin', isHttpOrigin);

/** Checks a value against a schema, filling in defaults in place; undefined after reporting what is wrong with it. */
type Validate<T> = (value: unknown, report: ProblemReport) => T | undefined;

export function validator<S extends TSchema>(schema: S): Validate<Static<S>> {
  const validate = ajv.compile<Static<S>>(schema);
  return (value, report) => {
    if (validate(value)) return value;
    for (const error of validate.errors ?? []) explain(error, value, report);
    return undefined;
  };
}

/** `http://host[:port]`, with at most a lone `/` behind: whatever else was written would be silently dropped. */
function isHttpOrigin(text: string): boolean {
  if (!/^http:\/\/[^\s@]+$/i.test(text) || !URL.canParse(text)) return false;
  const url = new URL(text);
  return url.href === `${url.origin}/`;
}
