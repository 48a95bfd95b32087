import type { Claim } from './claim';

/** Widths of the first two columns; 58 characters are left of a terminal's 80. */
const VERDICT_WIDTH = 7;
const NAME_WIDTH = 15;

const HEADER = 'Baton demo: a client, a front and two backends in network namespaces.\n';

export function hold(claims: readonly Claim[]): boolean {
  return claims.every(({ ok }) => ok);
}

/** The report for people. */
export function textReport(claims: readonly Claim[], seconds: number): string {
  const failed = claims.filter(({ ok }) => !ok).length;
  const verdict =
    failed === 0 ? `All ${claims.length} claims hold` : `FAILED: ${failed} of ${claims.length} claims`;
  return [HEADER, ...claims.flatMap(textOf), '', `${verdict}, measured in ${seconds.toFixed(1)} s.`, ''].join(
    '\n',
  );
}

/** The report for machines: one JSON object. */
export function jsonReport(claims: readonly Claim[], seconds: number): string {
  const report = {
    ok: hold(claims),
    ...Object.fromEntries(claims.flatMap(({ facts }) => Object.entries(facts))),
    claims: claims.map(({ name, ok, lines }) => ({ name, ok, lines })),
    seconds,
  };
  return `${JSON.stringify(report)}\n`;
}

function textOf({ name, ok, lines }: Claim): string[] {
  const [first = '', ...more] = lines;
  const verdict = (ok ? 'ok' : 'FAILED').padEnd(VERDICT_WIDTH);
  const indent = ' '.repeat(VERDICT_WIDTH + NAME_WIDTH);
  return [verdict + name.padEnd(NAME_WIDTH) + first, ...more.map((line) => indent + line)];
}
