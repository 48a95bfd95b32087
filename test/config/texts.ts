import { formatProblems } from '../../src/config/problems';
import type { Loaded } from '../../src/config/problems';

/** The smallest useful front: the cases of a table replace one piece of it. */
export const FRONT = `node: front-1
listeners:
  - name: web
    bind: 198.19.0.1:80
    protocol: http
routes:
  - pool: web
pools:
  web:
    backends:
      - name: b1
        agent: 198.18.0.21:7400
        via: 198.18.0.21
steering: { interface: eth0 }
control: { insecure: true }
`;

/** The smallest useful agent. */
export const AGENT = `node: b1
control: { listen: 198.18.0.21:7400, insecure: true }
vips: [198.19.0.1]
serve: { upstream: http://127.0.0.1:8080 }
`;

/** `¶` stands where the problem with the same index is expected; it is taken out of the text. */
const MARK = '¶';

/** A piece of the base text, what replaces it (with a mark per problem), the messages in order. */
export type ProblemCase = [piece: string, replacement: string, ...messages: string[]];

/** Problems as an operator sees them and as the case wants them, for one comparison. */
export function compare<T>(
  parse: (text: string, file: string) => Loaded<T>,
  base: string,
  [piece, replacement, ...messages]: ProblemCase,
): { actual: string[]; expected: string[] } {
  if (!base.includes(piece)) throw new Error(`the base text has no ${JSON.stringify(piece)}`);
  const [first = '', ...rest] = base.replace(piece, () => replacement).split(MARK);
  let text = first;
  const expected = rest.map((part, index) => {
    const lines = text.split('\n');
    text += part;
    return `F:${lines.length}:${(lines.at(-1)?.length ?? 0) + 1}: ${messages[index] ?? 'no message'}`;
  });
  const loaded = parse(text, __filename);
  return { actual: loaded.ok ? [] : formatProblems('F', loaded.problems), expected };
}

/** The configuration of a text that must be valid. */
export function configOf<T>(loaded: Loaded<T>): T {
  if (!loaded.ok) throw new Error(formatProblems('F', loaded.problems).join('\n'));
  return loaded.config;
}
