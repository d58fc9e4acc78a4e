import { describe, expect, test } from 'vitest';

import type { EngineNode } from '../../../src/swarm-agent/engine/engine.ts';
import { DOCKER_DECIDES_MS, QuorumWatch } from '../../../src/swarm-agent/engine/quorum-watch.ts';

/** `LR-u`: leader, reachable, a worker, unreachable. */
function list(shown: string): EngineNode[] {
  const reachability = { L: 'leader', R: 'reachable', u: 'unreachable', '-': null } as const;
  return [...shown].map((letter, n) => ({
    id: `d${n}`, hostname: `n${n}`, address: '', role: letter === '-' ? 'worker' : 'manager', availability: 'active', state: 'ready', labels: {}, version: '', reachability: reachability[letter as keyof typeof reachability],
  }));
}

/** What is shown from which second on; `?` is no answer. */
const D = DOCKER_DECIDES_MS / 1_000;
const TABLE: [string, readonly [from: number, shown: string][], readonly [at: number, verdict: string][]][] = [
  ['a quorum that lasts is one', [[0, 'LRR-']], [[0, 'unsure'], [D - 1, 'unsure'], [D, 'kept']]],
  ['silence that lasts is none', [[0, '?']], [[0, 'unsure'], [D - 1, 'unsure'], [D, 'lost']]],
  ['a leader answers until it steps down', [[0, 'LRR'], [19, '?']], [[18, 'unsure'], [D, 'unsure'], [19 + D, 'lost']]],
  ['a leader sees the others go and answers on', [[0, 'LRR'], [3, 'Luu']], [[D, 'unsure'], [3 + D, 'lost']]],
  ['another leader is elected', [[0, '?'], [15, 'LRu']], [[14, 'unsure'], [D, 'unsure'], [15 + D, 'kept']]],
  ['exactly half is no quorum', [[0, 'LRuu']], [[D, 'lost']]],
  ['the only member has gone on alone already', [[0, 'L--']], [[0, 'kept']]],
  ['the only member is not heard', [[0, 'u--']], [[0, 'unsure'], [D, 'lost']]],
];

describe('QuorumWatch', () => {
  test.each(TABLE)('%s', (_what, shown, verdicts) => {
    const watch = new QuorumWatch();
    const seen = new Map<number, string>();
    for (let second = 0; second <= 60; second += 1) {
      const [, now = '?'] = shown.findLast(([from]) => from <= second) ?? [];
      seen.set(second, watch.look(now === '?' ? null : list(now), { started: second * 1_000, now: second * 1_000 }));
    }
    expect(verdicts.map(([at]) => [at, seen.get(at)])).toEqual(verdicts);
  });

  test('a question that was not answered counts from when it was asked', () => {
    const watch = new QuorumWatch();
    expect(watch.look(null, { started: 0, now: 10_000 })).toBe('unsure');
    expect(watch.silenceDue(11_000)).toBe(DOCKER_DECIDES_MS - 11_000);
    expect(watch.look(null, { started: 11_000, now: DOCKER_DECIDES_MS })).toBe('lost');
  });
});
