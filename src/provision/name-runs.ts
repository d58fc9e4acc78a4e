/**
 * Many names in few characters, for tags: names that follow by counting are only counted. `node1 node2 node3 x` → `node1+2,x`,
 * `node1 node4 node7` → `node1+2/3`. It keeps the order, which ranges for people do not.
 */

/** Most names one run may say: a tag somebody else wrote must not fill the memory. */
const RUN_MAX = 10_000;

export function encodeNames(names: readonly string[]): string {
  const parts: string[] = [];
  for (let at = 0; at < names.length; ) {
    const first = names[at] as string;
    const step = stepBetween(first, names[at + 1]);
    let more = 0;
    while (step !== null && names[at + more + 1] === counted(first, (more + 1) * step)) more += 1;
    parts.push(more === 0 ? first : `${first}+${more}${step === 1 ? '' : `/${step}`}`);
    at += more + 1;
  }
  return parts.join(',');
}

/** The names an encoded text says. */
export function decodeNames(text: string): string[] {
  return text.split(',').flatMap((part) => {
    const [, first = part, more = '0', step = '1'] = /^([^+]*)\+(\d{1,5})(?:\/(\d{1,9}))?$/.exec(part) ?? [];
    return Array.from({ length: Math.min(Number(more), RUN_MAX) + 1 }, (_, n) => (n === 0 ? first : (counted(first, n * Number(step)) ?? first)));
  });
}

const numbered = (name: string): RegExpExecArray | null => /^(.*?)(\d{1,9})$/.exec(name);

function stepBetween(one: string, next: string | undefined): number | null {
  const [a, b] = [numbered(one), next === undefined ? null : numbered(next)];
  if (a === null || b === null || a[1] !== b[1]) return null;
  const step = Number(b[2]) - Number(a[2]);
  return step > 0 && counted(one, step) === next ? step : null;
}

/** The name `by` further on, its padding kept; null for a name without a number. */
function counted(name: string, by: number): string | null {
  const match = numbered(name);
  return match === null ? null : `${match[1]}${String(Number(match[2]) + by).padStart((match[2] as string).length, '0')}`;
}
