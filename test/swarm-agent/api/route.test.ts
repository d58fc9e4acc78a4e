import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';

import { route, type RouteOptions } from '../../../src/swarm-agent/api/route.ts';
import type { CallContext } from '../../../src/swarm-agent/api/server.ts';
import type { Clock } from '../../../src/swarm-agent/ports.ts';
import { ClusterState } from '../../../src/swarm-agent/store/state.ts';

/** Time that goes to the next timer when nothing else is left to do. */
class Time implements Clock {
  ms = 0;
  #timers: { at: number; act: () => void }[] = [];
  now = (): number => this.ms;
  monotonic = (): number => this.ms;
  after(ms: number, act: () => void): () => void {
    const timer = { at: this.ms + ms, act };
    this.#timers = [...this.#timers, timer].sort((a, b) => a.at - b.at);
    return () => void (this.#timers = this.#timers.filter((other) => other !== timer));
  }
  async passUntil<T>(result: Promise<T>): Promise<T> {
    let over = false;
    void result.finally(() => (over = true)).catch(() => undefined);
    for (;;) {
      await turn();
      const next = this.#timers.shift();
      if (over || next === undefined) return result;
      this.ms = next.at;
      next.act();
    }
  }
}

/** A call at manager a of five, of which `alive` others answer; a leads from `leadsAt` on. */
async function ask(alive: number, leadsAt: number): Promise<{ answer: unknown; ms: number }> {
  const time = new Time();
  const members = ['a', 'b', 'c', 'd', 'e'].map((id) => ({ id, voter: true, address: `${id}:2378` }));
  const status = () => ({ role: time.ms >= leadsAt ? 'leader' : 'candidate', leader: null, membership: { members } });
  const call = ({ id }: { id: string }) => (id.charCodeAt(0) - 97 <= alive ? Promise.resolve({ raft: { state: 'follower' } }) : new Promise(() => undefined));
  const options = { clock: time, group: { id: 'a', state: new ClusterState(), status }, peers: { call }, signal: new AbortController().signal } as unknown as RouteOptions;
  const context = { request: null, first: null, deadline: 15_000, caller: { role: 'operator', name: 'o' } } as unknown as CallContext;
  const answer = await time.passUntil(route(options, () => Promise.resolve('done'), 'cluster.nodes', {}, context).catch((error: Error) => error.message));
  return { answer, ms: time.ms };
}

it('an election that takes long for once is waited for', async () => {
  expect(await ask(2, 2500)).toMatchObject({ answer: 'done' });
});

it('managers that have a quorum and agree on no leader are given up on after a while', async () => {
  const { answer, ms } = await ask(3, Infinity);
  expect(answer).toBe('the managers have not agreed on a leader yet (4 of 5 reachable)');
  expect(ms).toBeLessThan(7000);
});

it('where the quorum is lost nobody waits for an election: the caller hears of it within 3 s', async () => {
  const { answer, ms } = await ask(1, 2900);
  expect(answer).toBe('2 of 5 managers reachable, 3 needed');
  expect(ms).toBeLessThan(3000);
});
