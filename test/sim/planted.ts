/**
 * Classic mistakes, each of which the simulation must notice. Most break one of the core's rules (src/swarm-agent/raft/rules.ts) through a subclass that only
 * exists here; the rest are mistakes of a log or of a runner, which the core cannot make.
 */
import { RaftNode } from '../../src/swarm-agent/raft/node.ts';
import { PAPER_RULES } from '../../src/swarm-agent/raft/rules.ts';
import type { Rules, WaitsFor } from '../../src/swarm-agent/raft/rules.ts';
import type { Message } from '../../src/swarm-agent/raft/types.ts';
import type { Mistakes } from './cluster.ts';

export interface PlantedBug {
  readonly name: string;
  /** The rule it breaks. */
  readonly rule: string;
  readonly mistakes: Mistakes;
}

/** A member that keeps all rules but those given. */
function nodeThat(broken: Partial<Rules>): typeof RaftNode {
  const rules = { ...PAPER_RULES, ...broken };
  return class extends RaftNode {
    protected override rules(): Rules {
      return rules;
    }
  };
}

function core(name: string, rule: string, broken: Partial<Rules>): PlantedBug {
  return { name, rule, mistakes: { node: nodeThat(broken) } };
}

const sendsEarly = (...types: Message['type'][]) => ({
  waitsFor: (message: Message): WaitsFor => (types.includes(message.type) ? 'nothing' : PAPER_RULES.waitsFor(message)),
});

export const PLANTED_BUGS: readonly PlantedBug[] = [
  core('votes, for itself or others, before the vote is on disk', 'paper, figure 2: persistent state', sendsEarly('vote', 'vote-reply')),
  core('votes twice in one term', 'paper, figure 2, RequestVote 2', { mayVoteFor: () => true }),
  core('votes for a log that is behind', 'paper, 5.4.1', { isUpToDate: () => true }),
  core('compares logs by length alone', 'paper, 5.4.1', { isUpToDate: (candidate, own) => candidate.index >= own.index }),
  core('counts votes of older terms', 'paper, 5.1', { isStale: (message, term) => message.type !== 'vote-reply' && PAPER_RULES.isStale(message, term) }),
  core('takes half of an even number for a majority', 'paper, 5.1', { majority: (voters) => Math.max(1, Math.ceil(voters / 2)) }),
  core('listens to leaders of older terms', 'paper, 5.1', { isStale: () => false }),
  core('acknowledges entries before they are on disk', 'paper, figure 2: persistent state', sendsEarly('append-reply')),
  core('counts its own copy before it is on disk', 'thesis, 10.2.1', { ownMatch: (_durable, last) => last }),
  core('commits an older term by counting', 'paper, 5.4.2, figure 8', { mayCommit: () => true }),
  core('applies before commit', 'paper, 5.3', { applyTo: (_commit, _durable, last) => last }),
  core('takes entries that do not join its log', 'paper, 5.3, consistency check', { prevMatches: (own) => own !== undefined }),
  core('keeps a conflicting suffix', 'paper, figure 2, AppendEntries 3', { conflicts: () => false }),
  core('cuts its log behind a late message', 'paper, 5.3', { cutsBehind: () => true }),
  core('acknowledges its whole log', 'paper, figure 2, AppendEntries 5', { acknowledges: (_proven, last) => last }),
  core('commits as far as the leader says', 'paper, figure 2, AppendEntries 5', { followerCommit: (leaderCommit) => leaderCommit }),
  core('tells everybody the same commit in heartbeats', 'paper, figure 2, AppendEntries 5', { heartbeatCommit: (commit) => commit }),
  core('begins a second membership change at once', 'thesis, 4.1', { mayChange: () => true }),
  core('changes the membership before its term has committed', 'thesis, 4.1, erratum of 2015', { mayChange: (latest, commit) => latest <= commit }),
  core('puts a membership in force when it is committed', 'paper, 6', { membershipInForce: (index, commit) => index <= commit }),
  core('keeps a membership whose entry is cut off', 'paper, 6', { rollsBack: () => false }),
  core('installs a snapshot without its membership', 'paper, 7', { restoresMembership: () => false }),
  core('installs a snapshot older than what is committed', 'paper, figure 13', { installs: () => true }),
  core('reads without a round of heartbeats', 'paper, 8', { readConfirmed: () => true }),
  core('reads before its term has committed', 'paper, 8', { mayRead: () => true }),
  core('answers reads before they are applied', 'thesis, 6.4', { mayAnswer: () => true }),
  { name: 'forgets whom it voted for at a restart', rule: 'paper, figure 2: persistent state', mistakes: { storage: { forgetsVote: true } } },
  { name: 'trusts a torn record', rule: 'log: checksum of each record', mistakes: { storage: { trustsTornRecord: true } } },
  { name: 'answers a write when it is appended', rule: 'paper, 5.3: after it is applied', mistakes: { runner: { answersBeforeCommit: true } } },
  { name: 'answers a write by its index alone', rule: 'thesis, 6.3: index and term', mistakes: { runner: { ignoresTerm: true } } },
  { name: 'says refused when it does not know', rule: 'three outcomes of a write', mistakes: { runner: { callsUnknownRefused: true } } },
];
