import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { simulate } from './cluster.ts';

/** Seeds of one test; each test is one unit of work for the runner. */
const CHUNK = 50;
const SEEDS = 300;

const REAL_LOG_SEEDS = 100;

const lines = readFileSync(new URL('seeds.txt', import.meta.url), 'utf8').split('\n').filter((line) => /^\d/.test(line));
const kept = (withLog: boolean): number[] => lines.filter((line) => /^\d+ log /.test(line) === withLog).map((line) => Number.parseInt(line, 10));
const from = (first: number, count: number): number[] => Array.from({ length: count }, (_, at) => first + at);

function violations(seeds: readonly number[], realLog = false): string[] {
  return seeds.map((seed) => simulate({ seed, realLog })).filter((result) => result.violation !== null)
    .map((result) => `npm run sim -- ${realLog ? '--real-log ' : ''}--seed ${result.seed}: ${result.violation}`);
}

describe('simulated clusters keep the properties of figure 3 and serve again when trouble ends', () => {
  test.each(from(0, SEEDS / CHUNK).map((chunk) => 1 + chunk * CHUNK))('seeds from %i', (first) => {
    expect(violations(from(first, CHUNK))).toEqual([]);
  });

  test('with the agent\'s own log on a simulated disk', () => {
    expect(violations(from(1, REAL_LOG_SEEDS), true)).toEqual([]);
  });

  test('seeds that once failed', () => {
    expect(lines.length).toBeGreaterThan(0);
    expect([...violations(kept(false)), ...violations(kept(true), true)]).toEqual([]);
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
  const results = from(1, 40).map((seed) => simulate({ seed }));
  const sum = (pick: (result: (typeof results)[number]) => number): number => results.reduce((total, result) => total + pick(result), 0);
  expect(sum((result) => result.acknowledged)).toBeGreaterThan(1_000);
  expect(sum((result) => result.reads)).toBeGreaterThan(1_000);
  expect(sum((result) => result.elections)).toBeGreaterThan(120);
});
