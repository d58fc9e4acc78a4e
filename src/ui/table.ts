/** Tables that line up: a pure layout of text cells in columns. */
import { printableLine } from './printable.ts';

/** One column: its heading and whether it holds numbers, which stand at the right. */
export interface Column {
  readonly heading: string;
  readonly numeric?: boolean;
}

/** The gap between two columns, spaces. */
const GAP = 3;

/** The lines of a table, headings first; wide (East Asian) characters do not occur in what belt names. A cell that is empty shows as `-`, so that columns can be told apart by `awk`. No trailing blanks. */
export function layoutTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const all = [columns.map((column) => column.heading), ...rows.map((row) => columns.map((_, at) => printableLine(row[at] || '-')))];
  const widths = columns.map((_, at) => all.reduce((widest, row) => Math.max(widest, row[at]?.length ?? 0), 0));
  return all.map((row) =>
    row
      .map((cell, at) => {
        const blanks = ' '.repeat((widths[at] ?? 0) - cell.length);
        return columns[at]?.numeric === true ? blanks + cell : cell + blanks;
      })
      .join(' '.repeat(GAP))
      .trimEnd(),
  );
}
