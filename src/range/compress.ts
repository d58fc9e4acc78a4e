/** Names → the shortest range that says them, for people: `node1 node2 node3 mg0` → `node[1:3],mg0`. */

interface Numbered {
  readonly prefix: string;
  readonly digits: string;
}

/** A comma-separated range whose expansion is exactly `names` (each once), in the order in which each prefix first comes. */
export function compressNames(names: readonly string[]): string {
  const padded = new Set<string>();
  for (const name of names) {
    const split = splitNumber(name);
    if (split !== null && split.digits.length > 1 && split.digits.startsWith('0')) padded.add(`${split.prefix}#${split.digits.length}`);
  }
  const groups = new Map<string, { prefix: string; width: number; numbers: Set<number> } | null>();
  for (const name of names) {
    const split = splitNumber(name);
    // `node10` beside `node09` is of the padded kind; alone it is a plain number.
    const width = split !== null && padded.has(`${split.prefix}#${split.digits.length}`) ? split.digits.length : 0;
    const key = split === null ? `=${name}` : `${split.prefix}#${width}`;
    const group = groups.get(key);
    if (group) group.numbers.add(Number((split as Numbered).digits));
    else groups.set(key, split === null ? null : { prefix: split.prefix, width, numbers: new Set([Number(split.digits)]) });
  }
  return [...groups].map(([key, group]) => (group === null ? key.slice(1) : group.prefix + bracket(group.numbers, group.width))).join(',');
}

/** The number a name ends with; numbers too large to count with stay text. */
function splitNumber(name: string): Numbered | null {
  const match = /^(.*?)(\d{1,9})$/.exec(name);
  if (match === null) return null;
  const [, prefix = '', digits = ''] = match;
  return /\d$/.test(prefix) ? null : { prefix, digits };
}

function bracket(numbers: ReadonlySet<number>, width: number): string {
  const text = (n: number): string => String(n).padStart(width, '0');
  const sorted = [...numbers].sort((a, b) => a - b);
  const items: string[] = [];
  for (let at = 0; at < sorted.length; ) {
    let end = at;
    while (sorted[end + 1] === (sorted[end] as number) + 1) end += 1;
    const first = text(sorted[at] as number);
    items.push(end === at ? first : `${first}:${text(sorted[end] as number)}`);
    at = end + 1;
  }
  return items.length === 1 && !items[0]?.includes(':') ? (items[0] as string) : `[${items.join(',')}]`;
}
