import { usage } from '../cli';
import { AGENT_SCHEMA, FRONT_SCHEMA } from '../config/schema';
import { ADMIN_PATHS } from '../observe/admin-paths';
import { CATALOGUE, METRIC_PREFIX, type Component } from '../observe/catalogue';
import { EXIT_CODES } from './command';
import { anchorOf, cell, code, heading, link, table } from './reference/markdown';
import { ConfigSections, type Described } from './reference/sections';

const ABOUT = `\
Every key, command, metric and path of the admin API. \`npm run reference\` makes this page from the schema, the commands
and the tables in \`src/\`, and a test fails when it is out of date: edit those and not this.

A configuration is one YAML document. Unknown keys are errors, and paths are relative to its file. \`baton check FILE\` names
what is wrong with one, by line and column. A key without a default, and not required, may be left out. In the names of
mappings \`[]\` stands for each entry of a list, and \`NAME\` for a name that you choose. [Examples](.) that run are beside this
page.`;

/** In the order in which they are described. */
const COMPONENTS: readonly Component[] = ['front', 'agent'];

/** The reference page, Markdown: everything that an operator may write or read, from where the programs have it. */
export function reference(): string {
  const configs = [
    new ConfigSections('front', FRONT_SCHEMA as Described),
    new ConfigSections('agent', AGENT_SCHEMA as Described),
  ];
  const chapters = [commands(), metrics(), adminApi()];
  const contents = [
    ...configs.map((config) => config.contents()),
    ...chapters.map(([title]) => `- ${link(title, anchorOf(title))}`),
  ];
  return [
    heading(1, 'Reference'),
    ABOUT,
    contents.join('\n'),
    ...configs.map((config) => config.render()),
    ...chapters.flatMap(([title, ...texts]) => [heading(2, title), ...texts]),
  ].join('\n\n');
}

/** A title and what stands below it. */
type Chapter = readonly [title: string, ...texts: string[]];

function commands(): Chapter {
  const codes = EXIT_CODES.map(({ code, meaning }) => [String(code), meaning]);
  return ['Commands', `\`\`\`\n${usage()}\`\`\``, table(['exit code', 'meaning'], codes)];
}

function metrics(): Chapter {
  const rows = COMPONENTS.flatMap((component) =>
    CATALOGUE[component].map(({ name, type, labels, help }) => [
      component,
      code(METRIC_PREFIX + name),
      type,
      labels.map(code).join(', '),
      cell(help),
    ]),
  );
  const text = 'At `/metrics` of the admin API, beside the usual ones of Node (`nodejs_*`, `process_*`).';
  return ['Metrics', text, table(['process', 'name', 'type', 'labels', 'meaning'], rows)];
}

function adminApi(): Chapter {
  const rows = COMPONENTS.flatMap((component) =>
    ADMIN_PATHS[component].map(({ method, path, help }) => [component, method, code(path), cell(help)]),
  );
  const text = `\
Where \`admin.listen\` says. A POST needs the token of \`admin.token_file\`, as does every request but \`/healthz\` and \`/readyz\` on
an address that others can reach: \`Authorization: Bearer TOKEN\`. Answers are JSON but for the metrics, and errors have the
form \`{"error": "..."}\`.`;
  return ['Admin API', text, table(['process', 'method', 'path', 'meaning'], rows)];
}
