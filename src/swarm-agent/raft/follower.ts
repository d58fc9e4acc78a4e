/** The follower's half of log replication: AppendEntries (paper, figure 2 and section 5.3). */
import { assert } from '../../errors.ts';
import type { Core } from './core.ts';
import type { Append, Entry, LogIndex } from './types.ts';

/** Checks that the logs meet, takes what is new, and acknowledges what the message proved equal, once it is durable. */
export function onAppend(core: Core, append: Append): void {
  const { from: to } = append;
  const header = { type: 'append-reply', from: core.id, to, term: core.term } as const;
  // What is committed is equal in any case (leader completeness, paper, section 5.4.3), and the window may have forgotten its terms.
  const known = append.prevIndex < core.log.firstInMemory - 1;
  if (!known && !core.rules.prevMatches(core.log.term(append.prevIndex), append.prevTerm)) return refuse(core, append);
  const proven = append.prevIndex + append.entries.length;
  takeEntries(core, known ? append.entries.filter((entry) => entry.index >= core.log.firstInMemory) : append.entries);
  if (core.rules.cutsBehind() && proven < core.log.lastIndex) cut(core, proven + 1);
  core.commitTo(core.rules.followerCommit(append.commit, proven));
  core.send({ ...header, ok: true, index: core.rules.acknowledges(proven, core.log.lastIndex), conflictTerm: 0, conflictIndex: 0 });
}

/** Tells which term is in the way and where it begins, so that the leader steps over all of it at once (paper, end of section 5.3). */
function refuse(core: Core, append: Append): void {
  const { lastIndex } = core.log;
  const short = append.prevIndex > lastIndex;
  const conflictTerm = short ? 0 : core.log.term(append.prevIndex)!;
  const conflictIndex = short ? lastIndex + 1 : core.log.firstOfTermAt(append.prevIndex);
  core.send({ type: 'append-reply', from: core.id, to: append.from, term: core.term, ok: false, index: append.prevIndex, conflictTerm, conflictIndex });
}

/** Skips what is here already, cuts at the first conflict, appends the rest (paper, figure 2, AppendEntries 3 and 4). */
function takeEntries(core: Core, entries: readonly Entry[]): void {
  const { log } = core;
  let fresh = 0;
  for (; fresh < entries.length; fresh += 1) {
    const { index, term } = entries[fresh]!;
    if (index > log.lastIndex) break;
    if (!core.rules.conflicts(log.term(index)!, term)) continue;
    cut(core, index);
    break;
  }
  if (fresh < entries.length) core.append(fresh === 0 ? entries : entries.slice(fresh));
}

function cut(core: Core, from: LogIndex): void {
  assert(from > core.commit, `entry ${from} is not committed (${core.commit} is) and may be cut off`);
  core.event({ what: 'truncated', from, to: core.log.lastIndex });
  core.log.truncate(from);
  for (const write of core.writes) write.last = Math.min(write.last, from - 1);
  if (!core.rules.rollsBack() || !core.memberships.rollBack(from)) return;
  core.takeMembership();
  core.event({ what: 'membership', index: core.memberships.latest.index, membership: core.memberships.latest.membership, rolledBack: true });
}
