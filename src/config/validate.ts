import type { Static, TSchema } from '@sinclair/typebox';
import { Ajv } from 'ajv';
import type { ValidateFunction } from 'ajv';
import { isIP, isIPv6 } from 'node:net';
import { Network } from '../route/network';
import { parseAddress, parseEndpoint, parseVip } from './addresses';
import { isAdminListen } from './admin';
import { isDiscoveredVia, isDnsName } from './discovery';
import { parseDuration } from './durations';
import { explain } from './explain';
import type { ProblemReport } from './problems';
import { parseStatuses } from './statuses';

const HOST_PATTERN = /^(\*\.)?[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63}){0,126}$/i;

/*
 * A process starts in a tenth of a second less without what ajv does beyond need: a test holds the schemas against the
 * meta-schema, and a validator that runs once or twice need not be optimised.
 */
const ajv = new Ajv({
  strict: true,
  allErrors: true,
  verbose: true,
  useDefaults: true,
  allowUnionTypes: true,
  meta: false,
  validateSchema: false,
  code: { optimize: false },
});
ajv.addKeyword('expected');
ajv.addFormat('duration', (text) => parseDuration(text) !== undefined);
ajv.addFormat('address', (text) => parseAddress(text) !== undefined);
ajv.addFormat('network', (text) => Network.parse(text) !== undefined);
ajv.addFormat('vip', (text) => parseVip(text) !== undefined);
ajv.addFormat('endpoint', (text) => (parseEndpoint(text)?.port ?? 0) > 0);
ajv.addFormat('admin-listen', isAdminListen);
ajv.addFormat('dns-name', isDnsName);
ajv.addFormat('discovered-via', isDiscoveredVia);
ajv.addFormat('host-pattern', (text) => HOST_PATTERN.test(text) || isIPv6(text));
// SNI has no addresses (RFC 6066 section 3), and a certificate's own wildcard is not for its verifier to name.
ajv.addFormat('server-name', (text) => HOST_PATTERN.test(text) && !text.includes('*') && isIP(text) === 0);
ajv.addFormat('origin', isHttpOrigin);
ajv.addFormat('statuses', (text) => parseStatuses(text) !== undefined);

/** Checks a value against a schema, filling in defaults in place; undefined after reporting what is wrong with it. */
type Validate<T> = (value: unknown, report: ProblemReport) => T | undefined;

/** The schema is compiled on first use: a process has configurations of one kind. */
export function validator<S extends TSchema>(schema: S): Validate<Static<S>> {
  let compiled: ValidateFunction<Static<S>> | undefined;
  return (value, report) => {
    const validate = (compiled ??= ajv.compile<Static<S>>(schema));
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
