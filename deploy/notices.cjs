/**
 * Writes the licences of all packages whose code is in the bundles, which their licences ask for.
 *
 *   node deploy/notices.cjs METAFILE NOTICES     METAFILE is esbuild's
 */
const { readdirSync, readFileSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');

const LICENCE = /^(licen[cs]e|copying|notice)/i;

const [metafile, notices] = process.argv.slice(2);
const { inputs } = JSON.parse(readFileSync(metafile, 'utf8'));
const directories = new Set(
  Object.keys(inputs).flatMap((input) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1] ?? []),
);

const texts = [...directories].sort().map((directory) => {
  const { name, version, license } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  if (typeof license !== 'string') throw new Error(`notices: ${name} ${version} says nothing of its licence`);
  const files = readdirSync(directory).filter((file) => LICENCE.test(file));
  const own = files.map((file) => readFileSync(join(directory, file), 'utf8').trim());
  return [`${name} ${version} (${license})`, ...own].join('\n\n');
});
writeFileSync(notices, `${texts.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`);
