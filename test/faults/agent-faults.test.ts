import { describe, expect, test } from 'vitest';

import { commonState, judgeStates, runAgentFaults } from './agent-faults.ts';
import { Ledger, type Told } from './ledger.ts';

test('five agents of the real bundle, killed and frozen at random under load, keep every promise', { timeout: 90_000 }, async () => {
  const result = await runAgentFaults({ seconds: 8, writers: 8, random: Math.random });
  expect(result.broken).toEqual([]);
  expect(result.acknowledged).toBeGreaterThan(200);
  expect(result.kills + result.freezes).toBeGreaterThan(2);
  expect(result.state).toMatch(/^\d+ [0-9a-f]{64}$/);
});

describe('what counts as a broken promise', () => {
  const cases: { name: string; told: [key: string, value: string | null, told: Told][]; found: Record<string, string>; broken: string[] }[] = [
    { name: 'all as told', told: [['a', '1', 'acknowledged'], ['b', '1', 'refused'], ['c', '1', 'unknown']], found: { a: '1' }, broken: [] },
    { name: 'an unknown write that happened', told: [['c', '1', 'unknown']], found: { c: '1' }, broken: [] },
    { name: 'an unknown write that came after an acknowledged one', told: [['c', '1', 'unknown'], ['c', '2', 'acknowledged']], found: { c: '1' }, broken: [] },
    { name: 'an acknowledged write that is missing', told: [['a', '1', 'acknowledged']], found: {}, broken: ['a is null, and should be 1'] },
    { name: 'an acknowledged removal that came undone', told: [['a', '1', 'acknowledged'], ['a', null, 'acknowledged']], found: { a: '1' }, broken: ['a is 1, and should be null'] },
    { name: 'a refused write that appeared', told: [['b', '1', 'refused']], found: { b: '1' }, broken: ['b is 1, and should be null'] },
    { name: 'a write that was done twice, over a later one', told: [['a', '1', 'acknowledged'], ['a', '2', 'acknowledged']], found: { a: '1' }, broken: ['a is 1, and should be 2'] },
    { name: 'a write nobody made', told: [], found: { z: '1' }, broken: ['nobody wrote z'] },
  ];
  test.each(cases)('$name', ({ told, found, broken }) => {
    const ledger = new Ledger();
    for (const [key, value, outcome] of told) ledger.note([key], value, outcome);
    expect(ledger.broken(new Map(Object.entries(found)))).toEqual(broken);
  });
});

describe('whether managers hold the same state', () => {
  const read = (name: string, index: number, hash: string) => ({ name, index, hash });
  test.each([
    { name: 'one index, one hash', reads: [read('a', 7, 'x'), read('b', 7, 'x')], verdict: 'same' },
    { name: 'one index, two hashes', reads: [read('a', 7, 'x'), read('b', 7, 'y')], verdict: 'different' },
    { name: 'two hashes of one index, and one not read', reads: [read('a', 7, 'x'), read('b', 7, 'y'), { name: 'c', unread: 'it is busy' }], verdict: 'different' },
    { name: 'two indexes', reads: [read('a', 7, 'x'), read('b', 8, 'y')], verdict: 'behind' },
    { name: 'one not read', reads: [read('a', 7, 'x'), { name: 'b', unread: 'it is busy' }], verdict: 'unread' },
    { name: 'none read', reads: [{ name: 'a', unread: 'it is busy' }, { name: 'b', unread: 'it is busy' }], verdict: 'unread' },
  ])('$name: $verdict', ({ reads, verdict }) => expect(judgeStates(reads).verdict).toBe(verdict));

  test('a read that is refused is asked again, and said to be that where it stays so', async () => {
    let refusals = 2;
    const client = {
      call: (({ machine }: { machine: string }) =>
        machine === 'b' && refusals-- > 0 ? Promise.reject(new Error('it is busy')) : Promise.resolve({ state: { index: 7, hash: 'x' } })) as never,
    };
    const managers = ['a', 'b'].map((name) => ({ name, endpoint: { machine: name, address: '127.0.0.1:1' } }));
    expect(await commonState(client, managers)).toBe('7 x');
    refusals = Infinity;
    await expect(commonState(client, managers, 0)).rejects.toThrow("the managers' states could not all be read: a: 7 x, b: it is busy");
  });
});
