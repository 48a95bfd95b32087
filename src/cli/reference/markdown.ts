/** The few pieces of Markdown that the reference page is made of. */

/** `#` is 1. */
export function heading(level: number, title: string): string {
  return `${'#'.repeat(level)} ${title}`;
}

/** What GitHub calls the first heading of a title in links: its letters, digits, `-` and `_`, in lower case. */
export function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_ -]/gu, '')
    .replaceAll(' ', '-');
}

/** A link within the page. */
export function link(text: string, anchor: string): string {
  return `[${text}](#${anchor})`;
}

/** A table whose cells are Markdown of one line. */
export function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(columns), `|${'---|'.repeat(columns.length)}`, ...rows.map(line)].join('\n');
}

/** Text for a cell: a bar would end it, and asterisks outside of `code` would set in bold what stands between them. */
export function cell(text: string): string {
  return text.replace(/`[^`]*`|[*<|]/g, (piece) =>
    piece.startsWith('`') ? piece.replaceAll('|', '\\|') : `\\${piece}`,
  );
}

export function code(text: string): string {
  return `\`${text}\``;
}
