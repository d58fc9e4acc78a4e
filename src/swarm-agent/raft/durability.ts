/**
 * The order of things. Nothing is voted for, counted or acknowledged before it is on this member's own disk (paper, figure 2); then it is
 * applied, then answered. What is to be written leaves through {@link takeWrite}; what the disk has done comes back through {@link settle}.
 */
import type { Core } from './core.ts';
import { countOwnVote } from './election.ts';
import { advanceCommit } from './replication.ts';
import { continueTransfer } from './transfer.ts';
import type { Entry, LogIndex, Persist } from './types.ts';

const NONE: readonly Entry[] = [];

/** Everything not yet handed to the disk, as one write; null: there is nothing. */
export function takeWrite(core: Core): Persist | null {
  if (core.role === 'failed' || !writeDue(core)) return null;
  const { log } = core;
  const entries = log.handed < log.lastIndex ? log.slice(log.handed + 1, log.lastIndex) : NONE;
  const vote = core.voteChanged ? { term: core.term, votedFor: core.votedFor } : null;
  const reset = core.resetDue;
  const seq = ++core.seq;
  core.writes.push({ seq, last: log.lastIndex, vote });
  if (vote !== null) core.voteSeq = seq;
  log.handed = log.lastIndex;
  core.voteChanged = false;
  core.resetDue = null;
  return { seq, vote, reset, entries };
}

export function writeDue({ voteChanged, resetDue, log }: Core): boolean {
  return voteChanged || resetDue !== null || log.handed < log.lastIndex;
}

/** The writes up to `seq` are durable. One sync may settle many of them: this is the one place where waiting ends. */
export function settle(core: Core, seq: number): void {
  // 1. On our disk now:
  let done = 0;
  for (; done < core.writes.length && core.writes[done]!.seq <= seq; done += 1) {
    const { last, vote } = core.writes[done]!;
    core.log.durable = Math.max(core.log.durable, last);
    core.durableVote = vote ?? core.durableVote;
  }
  core.writes.splice(0, done);
  // 2. so what we promise others may go out,
  release(core, seq);
  // 3. our own vote counts,
  countOwnVote(core);
  // 4. our own copy counts, which may commit entries; those are applied next, and answered when they are.
  advanceCommit(core);
  continueTransfer(core);
}

/** Sends what waited for the writes up to `seq`. What was said in a term that is over helps nobody any more. */
function release(core: Core, seq: number): void {
  if (core.held.length === 0) return;
  const still = [];
  for (const held of core.held) {
    if (held.seq > seq) still.push(held);
    else if (held.message.term === core.term) core.effects.messages.push(held.message);
  }
  core.held = still;
}

/** Up to where entries may be applied now. */
export function applyLimit({ rules, commit, log }: Core): LogIndex {
  return rules.applyTo(commit, log.durable, log.lastIndex);
}

/** The next entries to apply: committed, and on our own disk, so that no snapshot is ever ahead of its log. */
export function takeApply(core: Core): readonly Entry[] {
  const to = Math.min(applyLimit(core), core.applying + core.config.applyEntriesMax);
  if (to <= core.applying) return NONE;
  const entries = core.log.slice(core.applying + 1, to);
  core.applying = to;
  for (const entry of entries) core.bytesSinceSnapshot += entry.data.length;
  return entries;
}
