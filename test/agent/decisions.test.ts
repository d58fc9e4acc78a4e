/** What the agent decides without touching anything: who lives, when to dial again, what the leader does next, how many may join. */
import { describe, expect, test } from 'vitest';

import { RateLimiter } from '../../src/swarm-agent/api/limiter.ts';
import type { RaftStatus } from '../../src/swarm-agent/raft/types.ts';
import { nextStep } from '../../src/swarm-agent/reconcile.ts';
import { BACKOFF, backoffMs } from '../../src/swarm-agent/session/backoff.ts';
import { LIVENESS, Liveness } from '../../src/swarm-agent/session/liveness.ts';
import type { Change } from '../../src/swarm-agent/store/commands.ts';
import { command } from '../../src/swarm-agent/store/commands.ts';
import { ClusterState } from '../../src/swarm-agent/store/state.ts';

describe('liveness', () => {
  test('a node that was never seen is unknown while a new leader settles, then down', () => {
    const liveness = new Liveness(1000);
    expect(liveness.status('a', 1000 + LIVENESS.settleMs - 1)).toBe('unknown');
    expect(liveness.status('a', 1000 + LIVENESS.settleMs)).toBe('down');
  });

  test('an open session is ready until it is silent, a closed one for a short while', () => {
    const liveness = new Liveness(0);
    liveness.seen('a', 100);
    expect(liveness.status('a', 100 + LIVENESS.silentMs)).toBe('ready');
    expect(liveness.status('a', 101 + LIVENESS.silentMs)).toBe('down');
    liveness.seen('a', 20_000);
    liveness.closed('a', 21_000);
    expect(liveness.status('a', 21_000 + LIVENESS.closedMs)).toBe('ready');
    expect(liveness.status('a', 21_001 + LIVENESS.closedMs)).toBe('down');
  });

  test('whatever happens, a dead worker is down within 10 s of its last beat', () => {
    // The last beat may be just before a session closes, and the session may close just before it would be silent.
    expect(LIVENESS.silentMs).toBeLessThan(10_000);
    expect(LIVENESS.beatMs + LIVENESS.closedMs).toBeLessThan(10_000);
    expect(LIVENESS.settleMs).toBeLessThan(10_000);
    expect(LIVENESS.beatMs * 2).toBeLessThan(LIVENESS.silentMs);
  });

  test('what an earlier leadership saw counts no more', () => {
    const liveness = new Liveness(0);
    liveness.seen('a', 10);
    liveness.lead(20);
    expect(liveness.status('a', 30)).toBe('unknown');
  });
});

describe('backoff', () => {
  test.each([
    [0, 1, 1, 101], [0, 5000, 1, BACKOFF.spreadMsMax], [1, 1, 1, 202], [3, 1, 0.5, 404], [50, 1, 1, BACKOFF.msMax], [0, 100, 0, 0],
  ])('round %d of %d nodes at chance %d: %d ms', (rounds, nodes, chance, ms) => {
    expect(backoffMs(rounds, nodes, chance)).toBe(ms);
  });
});

test('joins: a burst, then so many a second, and the wait is what it takes', () => {
  const limiter = new RateLimiter({ burst: 2, perSecond: 10 }, 0);
  expect([limiter.take(0), limiter.take(0), limiter.take(0)]).toEqual([0, 0, 100]);
  expect(limiter.take(100)).toBe(0);
  expect(limiter.take(150)).toBe(50);
  expect([limiter.take(60_000), limiter.take(60_000), limiter.take(60_000)]).toEqual([0, 0, 100]);
});

describe('the leader’s next step', () => {
  const node = (id: string, role: 'manager' | 'worker'): Change => ({
    type: 'node.add',
    node: {
      id, name: id, role, address: '127.0.0.1:1', publicIpv4: null, privateIpv4: null, driver: null, datacenter: null, region: null, size: null, engine: 'none', dockerId: null,
      agentVersion: '1', certificate: null,
    },
  });
  const state = (...changes: Change[]): ClusterState => {
    const made = new ClusterState();
    changes.forEach((change, i) => expect(made.apply(i + 1, command(`c${i}`, i, change))).toMatchObject({ ok: true }));
    return made;
  };
  const raft = (members: Record<string, 'voter' | 'lost' | 'learner' | 'grown'>): RaftStatus => ({
    id: 'a', role: 'leader', term: 1, leader: 'a', commit: 1, applied: 1, durable: 1, firstIndex: 1, lastIndex: 1, lastTerm: 1, snapshotIndex: 0, heartbeatMs: 50, electionMs: 150,
    membership: { members: Object.entries(members).map(([id, kind]) => ({ id, voter: kind === 'voter' || kind === 'lost', address: '' })) },
    peers: Object.entries(members).filter(([id]) => id !== 'a').map(([id, kind]) => ({
      id, voter: kind === 'voter' || kind === 'lost', match: 1, lag: 0, state: 'replicate', rttMs: 1, lastContactMs: kind === 'lost' ? 5000 : 1, caughtUp: kind === 'grown',
    })),
  });
  const [a, b] = [node('a', 'manager'), node('b', 'manager')];

  test('nothing, when roles and members agree', () => {
    expect(nextStep(state(a, b), raft({ a: 'voter', b: 'voter' }), 'a')).toBeNull();
  });
  test('a learner votes when it has caught up, not before', () => {
    expect(nextStep(state(a, b), raft({ a: 'voter', b: 'learner' }), 'a')).toBeNull();
    expect(nextStep(state(a, b), raft({ a: 'voter', b: 'grown' }), 'a')).toEqual({ do: 'membership', change: { kind: 'promote', id: 'b' } });
  });
  test('who is demoted or gone leaves Raft; a learner that was demoted never votes', () => {
    expect(nextStep(state(a, node('b', 'worker')), raft({ a: 'voter', b: 'voter' }), 'a')).toEqual({ do: 'membership', change: { kind: 'remove', id: 'b' } });
    expect(nextStep(state(a), raft({ a: 'voter', b: 'grown' }), 'a')).toEqual({ do: 'membership', change: { kind: 'remove', id: 'b' } });
  });
  test('a leader that shall go hands over, but removes others first, and the last voter never goes', () => {
    expect(nextStep(state(node('a', 'worker'), b), raft({ a: 'voter', b: 'voter' }), 'a')).toEqual({ do: 'hand-over' });
    expect(nextStep(state(node('a', 'worker'), node('b', 'worker')), raft({ a: 'voter', b: 'voter' }), 'a')).toMatchObject({ change: { kind: 'remove', id: 'b' } });
    expect(nextStep(state(node('a', 'worker')), raft({ a: 'voter' }), 'a')).toBeNull();
  });
  test('whom the others cannot do without stays until they can: two demotions at once must not cost the quorum', () => {
    const leaving = state(a, node('b', 'worker'), node('c', 'manager'));
    expect(nextStep(leaving, raft({ a: 'voter', b: 'voter', c: 'lost' }), 'a')).toBeNull();
    expect(nextStep(leaving, raft({ a: 'voter', b: 'lost', c: 'voter' }), 'a')).toMatchObject({ change: { kind: 'remove', id: 'b' } });
    expect(nextStep(state(node('a', 'worker'), b, node('c', 'manager')), raft({ a: 'voter', b: 'voter', c: 'lost' }), 'a')).toBeNull();
  });
  test('in every cluster of up to five, whoever is demoted or dead, each step leaves a majority in reach, and all go that can', () => {
    const ids = ['a', 'b', 'c', 'd', 'e'];
    for (let size = 1; size <= 5; size += 1) {
      const all = ids.slice(0, size);
      for (let dead = 0; dead < 2 ** size; dead += 2) {
        const lost = new Set(all.filter((_, n) => dead & (1 << n)));
        const majority = (members: readonly string[]): boolean => members.filter((id) => !lost.has(id)).length * 2 > members.length;
        if (!majority(all)) continue;
        for (let demoted = 0; demoted < 2 ** size; demoted += 1) {
          const wanted = state(...all.map((id, n) => node(id, demoted & (1 << n) ? 'worker' : 'manager')));
          let members = all;
          for (;;) {
            const step = nextStep(wanted, raft(Object.fromEntries(members.map((id) => [id, lost.has(id) ? 'lost' : 'voter']))), 'a');
            if (step?.do !== 'membership') break;
            members = members.filter((id) => id !== step.change.id);
            expect(majority(members), `${members.join()} of ${all.join()} without ${[...lost].join()}`).toBe(true);
          }
          // What is left over is the leader, or somebody without whom there would be no majority.
          const over = members.filter((id) => id !== 'a' && wanted.tables.nodes.get(id)?.role === 'worker');
          for (const id of over) expect(majority(members.filter((other) => other !== id))).toBe(false);
        }
      }
    }
  });
  test('the journal is closed when the promotion is reached, and as failed when it was overtaken', () => {
    const intend: Change = { type: 'operation.intend', operation: 'op', kind: 'promote', subject: 'b', detail: '{}' };
    expect(nextStep(state(a, b, intend), raft({ a: 'voter', b: 'learner' }), 'a')).toBeNull();
    expect(nextStep(state(a, b, intend), raft({ a: 'voter', b: 'voter' }), 'a')).toMatchObject({ do: 'write', change: { type: 'operation.end', state: 'done' } });
    expect(nextStep(state(a, node('b', 'worker'), intend), raft({ a: 'voter' }), 'a')).toMatchObject({ do: 'write', change: { type: 'operation.end', state: 'failed' } });
  });
  test('certificates that have run out are forgotten when there are many, and only those', () => {
    const issued = (count: number, notAfter: number): Change[] => Array.from({ length: count }, (_, n) => ({
      type: 'certificate.issued', certificate: { serial: `${notAfter}-${n}`, role: 'operator', name: 'anna', fingerprint: 'f', issuedAt: 0, notAfter },
    }));
    const prune = { do: 'write', change: { type: 'certificate.prune' } };
    expect(nextStep(state(a, ...issued(200, -1)), raft({ a: 'voter' }), 'a')).toBeNull();
    expect(nextStep(state(a, ...issued(300, 9_000_000)), raft({ a: 'voter' }), 'a')).toBeNull();
    expect(nextStep(state(a, ...issued(299, 9_000_000), ...issued(1, -1)), raft({ a: 'voter' }), 'a')).toMatchObject(prune);
    const pruned = state(a, ...issued(299, 9_000_000), ...issued(1, -1), { type: 'certificate.prune' });
    expect(pruned.tables.certificates.size).toBe(299);
  });
});
