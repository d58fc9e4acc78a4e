import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { makePki } from '../../bench/raft/pki.ts';
import type { MemberReport, WriteOutcome } from '../../bench/raft/wire.ts';
import { brokenPromises, runFaults } from './raft-faults.ts';

const folder = mkdtempSync(join(tmpdir(), 'belt-faults-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Mulberry32: the same draws from the same seed. Which member is hurt when is then the same; what it was doing is not. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

test('five processes, killed and frozen at random under load, keep every promise', { timeout: 90_000 }, async () => {
  const pki = join(folder, 'pki');
  makePki(pki, ['m1', 'm2', 'm3', 'm4', 'm5', 'client']);
  const result = await runFaults({ folder, pki, firstPort: 24_200, seconds: 15, writers: 16, random: seeded(4) });
  expect(result.broken).toEqual([]);
  expect(result.acknowledged).toBeGreaterThan(1_000);
  expect(result.kills + result.freezes).toBeGreaterThan(8);
});

describe('what counts as a broken promise', () => {
  const report = (settings: Record<string, string>, rotations = 0, hash = 'h'): MemberReport => ({
    id: 'm1', role: 'leader', term: 1, applied: 9, commit: 9, logBytes: 0, state: { index: 9, hash, rotations, settings },
  });
  const cases: { name: string; answered: Record<string, WriteOutcome>; rotations: WriteOutcome[]; reports: MemberReport[]; broken: RegExp | null }[] = [
    { name: 'all as answered', answered: { a: 'acknowledged', b: 'refused', c: 'unknown' }, rotations: ['acknowledged', 'unknown'], reports: [report({ a: '1' }, 1)], broken: null },
    { name: 'an unknown write that happened', answered: { c: 'unknown' }, rotations: ['unknown'], reports: [report({ c: '1' }, 1)], broken: null },
    { name: 'an acknowledged write that is missing', answered: { a: 'acknowledged' }, rotations: [], reports: [report({})], broken: /a was acknowledged and is missing/ },
    { name: 'a refused write that appeared', answered: { b: 'refused' }, rotations: [], reports: [report({ b: '1' })], broken: /b was refused/ },
    { name: 'a write nobody made', answered: {}, rotations: [], reports: [report({ z: '1' })], broken: /nobody wrote z/ },
    { name: 'an acknowledged rotation that is missing', answered: {}, rotations: ['acknowledged'], reports: [report({}, 0)], broken: /rotated 0 times/ },
    { name: 'a rotation done twice', answered: {}, rotations: ['acknowledged'], reports: [report({}, 2)], broken: /rotated 2 times/ },
    { name: 'members that differ', answered: {}, rotations: [], reports: [report({}), report({}, 0, 'other')], broken: /different states/ },
  ];
  test.each(cases)('$name', ({ answered, rotations, reports, broken }) => {
    const found = brokenPromises({ settings: new Map(Object.entries(answered)), rotations }, reports);
    if (broken === null) expect(found).toEqual([]);
    else expect(found.join('\n')).toMatch(broken);
  });
});
