/** What the leader lets into its log: commands while there is room, and one change of membership at a time (thesis, 4.1). */
import type { Core } from './core.ts';
import { applyChange, encodeMembership } from './membership.ts';
import type { Progress } from './progress.ts';
import { confirmReads } from './reads.ts';
import type { Entry, MembershipChange, Proposed, Refusal, Refused } from './types.ts';

/** A refusal: nothing was appended. */
export function refused(core: Core, why: Refusal): Refused {
  return { ok: false, why, leader: core.leader };
}

/** Appends commands, all or none (paper, section 5.3). */
export function propose(core: Core, commands: readonly Uint8Array[]): Proposed {
  if (core.role !== 'leader') return refused(core, 'not-leader');
  if (core.transfer !== null) return refused(core, 'transferring');
  const { entryBytesMax, uncommittedBytesMax, uncommittedEntriesMax } = core.config;
  let bytes = 0;
  for (const data of commands) {
    if (data.length > entryBytesMax) return refused(core, 'too-large');
    bytes += data.length;
  }
  const first = core.log.lastIndex + 1;
  const crowded = first - 1 - core.commit + commands.length > uncommittedEntriesMax || core.uncommittedBytes + bytes > uncommittedBytesMax;
  // A batch larger than the limit may still go when nothing else is under way.
  if (crowded && core.commit < core.log.lastIndex) return refused(core, 'overloaded');
  core.uncommittedBytes += bytes;
  return append(core, commands.map((data, at) => ({ index: first + at, term: core.term, kind: 'command', data })));
}

/**
 * Appends a change of one member. The change before it must be committed, and so must an entry of this term: without the latter two leaders could
 * each begin a change from a membership the other has left (the erratum of 2015 to the thesis, 4.1).
 */
export function changeMembership(core: Core, change: MembershipChange): Proposed {
  if (core.role !== 'leader') return refused(core, 'not-leader');
  if (core.transfer !== null) return refused(core, 'transferring');
  const { latest } = core.memberships;
  if (!core.rules.mayChange(latest.index, core.commit, core.commitTerm, core.term)) return refused(core, 'change-pending');
  const membership = applyChange(latest.membership, change);
  if (membership === null) return refused(core, 'no-such-change');
  if (change.kind === 'promote' && !core.rules.mayPromote(hasCaughtUp(core, core.progress.get(change.id)))) return refused(core, 'not-caught-up');
  const proposed = append(core, [{ index: core.log.lastIndex + 1, term: core.term, kind: 'membership', data: encodeMembership(membership) }]);
  // Those who answered the read round already may be a majority of the smaller membership.
  confirmReads(core);
  return proposed;
}

function append(core: Core, entries: readonly Entry[]): Proposed {
  const index = core.log.lastIndex + 1;
  core.append(entries);
  core.replicationDue = true;
  return { ok: true, index, term: core.term };
}

/** Whether a learner could vote without holding up commits: its last round was short (thesis, 4.2.1), and it is there now. */
export function hasCaughtUp(core: Core, learner: Progress | undefined): boolean {
  return learner?.catchUp?.done === true && core.now - (learner.lastContact ?? -Infinity) <= 2 * core.timing.electionMs;
}
