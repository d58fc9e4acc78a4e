/**
 * Whether Docker's managers still have their quorum after a loss. Its answers are no proof for a while: a leader that lost its followers goes on
 * answering until it steps down, and after a leader's death nobody answers until another is elected. Only what lasts counts. Pure.
 */
import type { EngineNode } from './engine.ts';

/**
 * How long an appearance must last, ms. swarmkit ticks once a second with an election timeout of 10 ticks (manager/state/raft/raft.go
 * DefaultRaftConfig): a leader steps down, and a follower stands for election, within 20 s.
 */
export const DOCKER_DECIDES_MS = 25_000;

export type QuorumVerdict = 'kept' | 'lost' | 'unsure';

export class QuorumWatch {
  #seen: 'kept' | 'lost' | null = null;
  #since = 0;

  /** Takes what Docker's list showed (null: it did not answer) when asked between `started` and `now`, monotonic ms. */
  look(list: readonly EngineNode[] | null, { started, now }: { readonly started: number; readonly now: number }): QuorumVerdict {
    const members = list?.filter(({ reachability }) => reachability !== null) ?? [];
    // The only member, and it answers: its engine has gone on alone already.
    if (members.length === 1 && members[0]?.reachability === 'leader') return 'kept';
    const reachable = members.filter(({ reachability }) => reachability !== 'unreachable').length;
    const seen = list !== null && reachable > members.length / 2 ? 'kept' : 'lost';
    if (seen !== this.#seen) [this.#seen, this.#since] = [seen, started];
    return now - this.#since >= DOCKER_DECIDES_MS ? seen : 'unsure';
  }

  /** How long silence must still last at `now` to be believed, ms. */
  silenceDue(now: number): number {
    return this.#seen === 'lost' ? Math.max(0, this.#since + DOCKER_DECIDES_MS - now) : DOCKER_DECIDES_MS;
  }
}
