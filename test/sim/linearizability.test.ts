import fc from '../property.ts';
import { describe, expect, test } from 'vitest';
import { checkLinearizable } from './linearizability.ts';
import type { Call, Outcome } from './linearizability.ts';

const append = (value: number, began: number, ended: number, outcome: Outcome = 'acknowledged'): Call => ({ kind: 'append', value, began, ended, outcome });
const read = (began: number, ended: number, ...values: number[]): Call => ({ kind: 'read', began, ended, values });

describe('histories that are linearizable', () => {
  test.each<[string, Call[]]>([
    ['nothing at all', []],
    ['one after the other', [append(1, 0, 1), append(2, 2, 3), read(4, 5, 1, 2)]],
    ['appends at the same time, either way round', [append(1, 0, 5), append(2, 0, 5), read(6, 7, 2, 1)]],
    ['an unknown append that happened', [append(1, 0, Infinity, 'unknown'), read(6, 7, 1)]],
    ['an unknown append that did not', [append(1, 0, Infinity, 'unknown'), read(6, 7)]],
    ['an unknown append that happened late', [append(1, 0, Infinity, 'unknown'), read(6, 7), read(8, 9, 1)]],
    ['a refused append that did not', [append(1, 0, 1, 'refused'), read(6, 7)]],
    ['a read that overlaps an append, before or after it', [append(1, 0, 5), read(1, 2), read(3, 4, 1), read(6, 7, 1)]],
  ])('%s', (_, calls) => expect(checkLinearizable(calls)).toBeNull());
});

describe('histories that are not', () => {
  test.each<[string, Call[], RegExp]>([
    ['an acknowledged append is lost', [append(1, 0, 1), read(2, 3)], /lost/],
    ['a refused append appears', [append(1, 0, 1, 'refused'), read(2, 3, 1)], /refused/],
    ['an append appears twice', [append(1, 0, 1), read(2, 3, 1, 1)], /twice/],
    ['a value comes from nowhere', [read(2, 3, 9)], /never appended/],
    ['a stale read', [append(1, 0, 1), append(2, 2, 3), read(4, 5, 1), read(6, 7, 1, 2)], /had been reached/],
    ['a read goes back', [append(1, 0, 9), read(2, 3, 1), read(4, 5), read(10, 11, 1)], /had been reached/],
    ['reads that contradict each other', [append(1, 0, 9), append(2, 0, 9), read(10, 11, 1, 2), read(12, 13, 2, 1)], /another saw/],
    ['appends in the wrong order', [append(1, 0, 1), append(2, 2, 3), read(4, 5, 2, 1)], /had been reached/],
    ['a read from the future', [append(1, 5, 6), read(0, 1, 1), read(7, 8, 1)], /begun later|had been reached/],
  ])('%s', (_, calls, why) => expect(checkLinearizable(calls)).toMatch(why));
});

/** The definition, tried by brute force: some order of the operations that respects time and explains every read. */
function explains(calls: readonly Call[]): boolean {
  const must = calls.filter((call) => call.kind === 'read' || call.outcome === 'acknowledged');
  const may = calls.filter((call) => call.kind === 'append' && call.outcome === 'unknown');
  const search = (list: readonly number[], left: readonly Call[], optional: readonly Call[]): boolean => {
    if (left.length === 0) return true;
    const horizon = Math.min(...left.map((call) => call.ended));
    const fits = (call: Call): boolean => call.began <= horizon && (call.kind === 'append' || String(call.values) === String(list));
    const next = (call: Call): readonly number[] => (call.kind === 'append' ? [...list, call.value] : list);
    return left.some((call) => fits(call) && search(next(call), left.filter((other) => other !== call), optional))
      || optional.some((call) => call.began <= horizon && search(next(call), left, optional.filter((other) => other !== call)));
  };
  return search([], must, may);
}

test('agrees with brute force on small histories', () => {
  const call = fc.record({
    isRead: fc.boolean(), began: fc.integer({ min: 0, max: 12 }), lasts: fc.integer({ min: 1, max: 6 }), outcome: fc.constantFrom<Outcome>('acknowledged', 'acknowledged', 'unknown', 'refused'),
    values: fc.subarray([1, 2, 3, 4], { maxLength: 4 }), swap: fc.boolean(),
  });
  fc.assert(fc.property(fc.array(call, { minLength: 1, maxLength: 6 }), (drawn) => {
    let value = 0;
    // Times are made distinct, so that "before" is never in doubt; a last read makes lost appends visible.
    const calls = drawn.map<Call>(({ isRead, began, lasts, outcome, values, swap }, at) => {
      const from = began + at / 100;
      if (isRead) return read(from, from + lasts + 0.001, ...(swap ? [...values].reverse() : values));
      return append(++value, from, outcome === 'unknown' ? Infinity : from + lasts + 0.001, outcome);
    });
    const last = drawn.at(-1)!;
    const all = [...calls, read(100, 101, ...(last.swap ? [...last.values].reverse() : last.values))];
    expect(checkLinearizable(all) === null).toBe(explains(all));
  }), { numRuns: 3_000, seed: 1 });
});
