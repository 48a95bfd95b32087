import type { Static, TSchema } from '@sinclair/typebox';
import { Ajv } from 'ajv';
import type { Options, ValidateFunction } from 'ajv';
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
const LEAN: Options = {
  strict: true,
  allowUnionTypes: true,
  meta: false,
  validateSchema: false,
  code: { optimize: false },
};
const ajv = withFormats({ ...LEAN, allErrors: true, verbose: true, useDefaults: true });
ajv.addKeyword('expected');

function withFormats(options: Options): Ajv {
  const made = new Ajv(options);
  made
    .addFormat('duration', (text) => parseDuration(text) !== undefined)
    .addFormat('address', (text) => parseAddress(text) !== undefined)
    .addFormat('network', (text) => Network.parse(text) !== undefined)
    .addFormat('vip', (text) => parseVip(text) !== undefined)
    .addFormat('endpoint', (text) => (parseEndpoint(text)?.port ?? 0) > 0)
    .addFormat('admin-listen', isAdminListen)
    .addFormat('dns-name', isDnsName)
    .addFormat('discovered-via', isDiscoveredVia)
    .addFormat('host-pattern', (text) => HOST_PATTERN.test(text) || isIPv6(text))
    .addFormat('server-name', isServerName)
    .addFormat('origin', isHttpOrigin)
    .addFormat('statuses', (text) => parseStatuses(text) !== undefined);
  return made;
}

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

/**
 * For values of other programs: the first thing that is wrong with one, undefined where nothing is. It stops there, because
 * whoever wrote it may have made many mistakes on purpose, and changes nothing.
 */
export function checker(schema: TSchema): (value: unknown) => string | undefined {
  let compiled: ValidateFunction | undefined;
  return (value) => {
    const validate = (compiled ??= withFormats(LEAN).compile(schema));
    if (validate(value)) return undefined;
    const [error] = validate.errors ?? [];
    return `${error?.instancePath ?? ''} ${error?.message ?? 'is wrong'}`.trim();
  };
}

/** SNI has no addresses (RFC 6066 section 3), and a certificate's own wildcard is not for its verifier to name. */
function isServerName(text: string): boolean {
  return HOST_PATTERN.test(text) && !text.includes('*') && isIP(text) === 0;
}

/** `http://host[:port]`, with at most a lone `/` behind: whatever else was written would be silently dropped. */
function isHttpOrigin(text: string): boolean {
  if (!/^http:\/\/[^\s@]+$/i.test(text) || !URL.canParse(text)) return false;
  const url = new URL(text);
  return url.href === `${url.origin}/`;
}
