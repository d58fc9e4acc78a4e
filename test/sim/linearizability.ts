/**
 * Whether what clients saw is linearizable (Herlihy and Wing, 1990). It knows nothing of Raft: only calls, answers and their times. The object is
 * an append-only list of values never used twice, which makes the check exact and fast: the longest read fixes the order of all appends
 * it shows, every other read must be a beginning of it, and each operation must come behind everything that ended before it began.
 */

/** What became of an append. */
export type Outcome = 'acknowledged' | 'refused' | 'unknown';

export interface AppendCall {
  readonly kind: 'append';
  readonly value: number;
  readonly began: number;
  /** When the answer came; Infinity for an unknown outcome, which is also that of a call without an answer yet. */
  ended: number;
  outcome: Outcome;
}
export interface ReadCall {
  readonly kind: 'read';
  readonly began: number;
  readonly ended: number;
  readonly values: readonly number[];
}
export type Call = AppendCall | ReadCall;

/** What is wrong with the calls on one list; null when they are linearizable. The last read must begin after all other calls have ended, or acknowledged appends behind the longest read are not missed. */
export function checkLinearizable(calls: readonly Call[]): string | null {
  const reads = calls.filter((call) => call.kind === 'read');
  const order = reads.reduce<readonly number[]>((longest, { values }) => (values.length > longest.length ? values : longest), []);
  const position = new Map(order.map((value, at) => [value, at]));
  if (position.size !== order.length) return `a value appears twice in [${order.join(' ')}]`;
  return checkReads(reads, order) ?? checkAppends(calls, position) ?? checkRealTime(calls, position);
}

function checkReads(reads: readonly ReadCall[], order: readonly number[]): string | null {
  for (const { values, began } of reads) {
    const at = values.findIndex((value, index) => value !== order[index]);
    if (at >= 0) return `a read begun at ${began} saw ${values[at]} at place ${at}, another saw ${order[at]} there`;
  }
  return null;
}

function checkAppends(calls: readonly Call[], position: ReadonlyMap<number, number>): string | null {
  const known = new Map<number, AppendCall>();
  for (const call of calls) if (call.kind === 'append') known.set(call.value, call);
  for (const value of position.keys()) {
    const call = known.get(value);
    if (call === undefined) return `${value} was read but never appended`;
    if (call.outcome === 'refused') return `${value} was refused but was read`;
  }
  const lastRead = calls.reduce((latest, call) => (call.kind === 'read' ? Math.max(latest, call.began) : latest), -1);
  for (const call of known.values()) {
    if (call.outcome === 'acknowledged' && call.ended < lastRead && !position.has(call.value)) return `${call.value} was acknowledged at ${call.ended} and is lost`;
  }
  return null;
}

/** Sweeps over all beginnings and ends in time: each operation's place in the order must not be before that of any operation that ended before it began. */
function checkRealTime(calls: readonly Call[], position: ReadonlyMap<number, number>): string | null {
  const placed = calls.filter((call) => call.kind === 'read' || position.has(call.value));
  const begins = [...placed].sort((a, b) => a.began - b.began);
  const ends = [...placed].sort((a, b) => a.ended - b.ended);
  let floor = 0;
  let ended = 0;
  for (const call of begins) {
    for (; ended < ends.length && ends[ended]!.ended < call.began; ended += 1) floor = Math.max(floor, reach(ends[ended]!, position));
    const place = call.kind === 'read' ? call.values.length : position.get(call.value)!;
    if (place < floor) return `${name(call)} begun at ${call.began} took place ${place}, but ${floor} had been reached before it began`;
  }
  return checkFuture(placed, position);
}

/** A read cannot have seen an append that began after the read had ended. */
function checkFuture(placed: readonly Call[], position: ReadonlyMap<number, number>): string | null {
  const begun: number[] = [];
  for (const call of placed) if (call.kind === 'append') begun[position.get(call.value)!] = call.began;
  for (let at = 1; at < begun.length; at += 1) begun[at] = Math.max(begun[at]!, begun[at - 1]!);
  for (const call of placed) {
    if (call.kind === 'read' && call.values.length > 0 && begun[call.values.length - 1]! > call.ended) return `a read ended at ${call.ended} saw an append begun later`;
  }
  return null;
}

/** How many appends are before or at the operation in the order. */
function reach(call: Call, position: ReadonlyMap<number, number>): number {
  return call.kind === 'read' ? call.values.length : position.get(call.value)! + 1;
}

function name(call: Call): string {
  return call.kind === 'read' ? 'a read' : `the append of ${call.value}`;
}
