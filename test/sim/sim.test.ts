import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { simulate } from './cluster.ts';

/** Seeds of one test; each test is one unit of work for the runner. */
const CHUNK = 50;
const SEEDS = 300;

const kept = readFileSync(new URL('seeds.txt', import.meta.url), 'utf8').split('\n').filter((line) => /^\d/.test(line)).map((line) => Number.parseInt(line, 10));

function violations(seeds: readonly number[]): string[] {
  return seeds.map((seed) => simulate({ seed })).filter((result) => result.violation !== null).map((result) => `npm run sim -- --seed ${result.seed}: ${result.violation}`);
}

describe('simulated clusters keep the properties of figure 3 and serve again when trouble ends', () => {
  test.each(Array.from({ length: SEEDS / CHUNK }, (_, at) => 1 + at * CHUNK))(`seeds from %i`, (first) => {
    expect(violations(Array.from({ length: CHUNK }, (_, at) => first + at))).toEqual([]);
  });

  test('seeds that once failed', () => {
    expect(kept.length).toBeGreaterThan(0);
    expect(violations(kept)).toEqual([]);
  });
});

test('a seed is one history: the same run twice gives the same trace', () => {
  const traces = [0, 1].map(() => {
    const lines: string[] = [];
    simulate({ seed: 7, trace: (line) => lines.push(line) });
    return lines;
  });
  expect(traces[0]!.length).toBeGreaterThan(50);
  expect(traces[0]).toEqual(traces[1]);
});

test('the runs are not empty: writes are acknowledged, reads answered, leaders change', () => {
  const results = Array.from({ length: 40 }, (_, at) => simulate({ seed: at + 1 }));
  const sum = (pick: (result: (typeof results)[number]) => number): number => results.reduce((total, result) => total + pick(result), 0);
  expect(sum((result) => result.acknowledged)).toBeGreaterThan(1_000);
  expect(sum((result) => result.reads)).toBeGreaterThan(1_000);
  expect(sum((result) => result.elections)).toBeGreaterThan(120);
});
