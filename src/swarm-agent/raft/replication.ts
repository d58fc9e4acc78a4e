/**
 * The leader's half of log replication (paper, section 5.3 and 5.4.2): what to send to whom, what an answer means, and when an entry is committed.
 */
import type { Core } from './core.ts';
import { measure } from './heartbeat.ts';
import { findMember } from './membership.ts';
import type { Progress } from './progress.ts';
import { confirmReads } from './reads.ts';
import { stepDown } from './role.ts';
import { beginSnapshot, continueSnapshot, nudgeSnapshot } from './snapshot-send.ts';
import { continueTransfer, succeed } from './transfer.ts';
import type { AppendReply, Entry, HeartbeatReply, LogIndex, MemberId, SnapshotReply, Term } from './types.ts';

/** Sends every follower what it lacks, as far as its window allows. */
export function replicate(core: Core): void {
  core.replicationDue = false;
  for (const progress of core.progress.values()) replicateTo(core, progress);
}

function replicateTo(core: Core, progress: Progress): void {
  const { inflightMessagesMax, inflightBytesMax, appendBytesMax } = core.config;
  while (lacks(core, progress) && progress.maySend(inflightMessagesMax, inflightBytesMax)) {
    const prev = progress.next - 1;
    const prevTerm = termOf(core, prev);
    if (prevTerm === undefined || progress.next < core.log.firstInMemory) return fetch(core, progress, prevTerm === undefined ? prev : progress.next);
    sendAppend(core, progress, prev, prevTerm, core.log.slice(progress.next, core.log.lastIndex, appendBytesMax));
  }
}

/** Whether there is something to send. To a follower that is probed there is, even if only the question where its log ends. */
function lacks({ log }: Core, { state, match, next }: Progress): boolean {
  return state === 'probe' ? match < log.lastIndex : next <= log.lastIndex;
}

/** Term of the entry at `index` as far as memory or the snapshot tells. */
function termOf({ log, snapshot }: Core, index: LogIndex): Term | undefined {
  if (index === 0) return 0;
  return log.term(index) ?? (snapshot?.index === index ? snapshot.term : undefined);
}

/** Memory does not reach back that far: read the entries from disk, or send the snapshot where the disk has dropped them too. */
function fetch(core: Core, progress: Progress, from: LogIndex): void {
  if (from <= core.log.compacted) return beginSnapshot(core, progress);
  progress.reading = true;
  core.effects.logReads.push({ to: progress.id, from, bytesMax: core.config.appendBytesMax });
}

/** The disk has answered a `fetch`. The first entry is only there for its term when it is the one before what the follower lacks. */
export function onLogRead(core: Core, to: MemberId, from: LogIndex, entries: readonly Entry[] | null): void {
  const progress = core.progress.get(to);
  if (core.role !== 'leader' || progress === undefined || !progress.reading) return;
  progress.reading = false;
  core.replicationDue = true;
  if (entries === null || entries.length === 0) return beginSnapshot(core, progress);
  if (!progress.maySend(core.config.inflightMessagesMax, core.config.inflightBytesMax)) return;
  const prev = progress.next - 1;
  const prevTerm = from === prev ? entries[0]!.term : termOf(core, prev);
  const lacking = from === prev ? entries.slice(1) : entries;
  if (prevTerm !== undefined && lacking[0]?.index === progress.next) sendAppend(core, progress, prev, prevTerm, lacking);
}

function sendAppend(core: Core, progress: Progress, prevIndex: LogIndex, prevTerm: Term, entries: readonly Entry[]): void {
  let bytes = 0;
  for (const entry of entries) bytes += entry.data.length;
  core.send({ type: 'append', from: core.id, to: progress.id, term: core.term, prevIndex, prevTerm, entries, commit: core.commit });
  progress.sent(prevIndex + entries.length, bytes, core.now);
}

export function onAppendReply(core: Core, reply: AppendReply): void {
  const progress = core.progress.get(reply.from);
  if (core.role !== 'leader' || progress === undefined) return;
  progress.lastContact = core.now;
  if (reply.ok) advance(core, progress, reply.index);
  else backUp(core, progress, reply);
}

/** The follower has a piece of the snapshot, or all it needs. */
export function onSnapshotReply(core: Core, reply: SnapshotReply): void {
  const progress = core.progress.get(reply.from);
  if (core.role !== 'leader' || progress === undefined) return;
  progress.lastContact = core.now;
  if (!reply.done) return continueSnapshot(core, progress, reply);
  if (progress.state === 'snapshot') {
    core.event({ what: 'snapshot-sent', to: progress.id, index: reply.index, offset: reply.next });
    progress.probe(reply.index + 1);
  }
  advance(core, progress, reply.index);
}

/** The follower holds everything up to `index`, durably. */
function advance(core: Core, progress: Progress, index: LogIndex): void {
  const news = progress.acknowledged(index);
  if (progress.state === 'probe') progress.replicate();
  core.replicationDue = true;
  if (!news) return;
  followCatchUp(core, progress);
  advanceCommit(core);
  continueTransfer(core);
}

/** A learner's rounds (thesis, 4.2.1). */
function followCatchUp(core: Core, { id, match, catchUp }: Progress): void {
  if (catchUp === null || match < catchUp.roundEnd) return;
  const inTime = core.now - catchUp.roundBegan <= core.timing.electionMs;
  if (inTime && !catchUp.done) core.event({ what: 'caught-up', member: id });
  catchUp.done = inTime;
  catchUp.roundEnd = core.log.lastIndex;
  catchUp.roundBegan = core.now;
}

/** The logs do not meet at `reply.index`: go back a whole term at a time (paper, end of section 5.3). */
function backUp(core: Core, progress: Progress, reply: AppendReply): void {
  // Late or doubled: what it refuses is known to match by now, or is not what the probe asked.
  if (reply.index <= progress.match || progress.state === 'snapshot') return;
  if (progress.state === 'probe' && reply.index !== progress.next - 1) return;
  const shared = reply.conflictTerm === 0 ? undefined : core.log.lastOfTerm(reply.conflictTerm);
  const next = shared !== undefined && shared < reply.index ? shared + 1 : reply.conflictIndex;
  progress.probe(Math.min(next, reply.index));
  core.replicationDue = true;
}

/** A follower is alive. */
export function onHeartbeatReply(core: Core, reply: HeartbeatReply): void {
  const progress = core.progress.get(reply.from);
  if (core.role !== 'leader' || progress === undefined) return;
  progress.lastContact = core.now;
  measure(core, reply);
  // In an idle group no append comes any more that could end a learner's round.
  followCatchUp(core, progress);
  if (reply.round > progress.round) {
    progress.round = reply.round;
    confirmReads(core);
  }
  if (progress.state === 'snapshot') return nudgeSnapshot(core, progress);
  // It answers a heartbeat sent after the probe, but not the probe: that was lost.
  if (reply.sentAt > progress.probedAt) progress.probing = false;
  core.replicationDue = true;
  if (progress.match < progress.next - 1 && progress.state === 'replicate') askWhereItEnds(core, progress);
}

/** Appends are under way and not acknowledged; they may be lost, with nothing behind them to show it. An empty append is refused if so. */
function askWhereItEnds(core: Core, progress: Progress): void {
  const prev = progress.next - 1;
  const prevTerm = core.log.term(prev);
  if (prevTerm === undefined) return progress.probe(progress.match + 1);
  core.send({ type: 'append', from: core.id, to: progress.id, term: core.term, prevIndex: prev, prevTerm, entries: [], commit: core.commit });
}

/** Commits what a majority holds durably (paper, section 5.3), if it is of this term (section 5.4.2, figure 8): older entries are committed with it. */
export function advanceCommit(core: Core): void {
  if (core.role !== 'leader') return;
  const own = core.rules.ownMatch(core.log.durable, core.log.lastIndex);
  const matches = core.voters.map((id) => (id === core.id ? own : (core.progress.get(id)?.match ?? 0))).sort((a, b) => b - a);
  const index = matches[core.majority - 1] ?? 0;
  if (index <= core.commit || !core.rules.mayCommit(core.log.term(index)!, core.term)) return;
  for (const entry of core.log.slice(core.commit + 1, index)) core.uncommittedBytes -= entry.data.length;
  core.uncommittedBytes = Math.max(0, core.uncommittedBytes);
  core.commitTo(index);
  if (findMember(core.membership, core.id) === undefined && core.memberships.latest.index <= core.commit) retire(core);
}

/** A leader that has removed itself leads until that is committed, and no longer (thesis, 4.2.2). */
function retire(core: Core): void {
  succeed(core);
  stepDown(core, core.term, null, 'removed');
}
