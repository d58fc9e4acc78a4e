/**
 * The rules on which Raft's safety rests, one line each, with their source. Everything else in this folder is bookkeeping around them.
 * They stand in one object so that the simulation can break them one at a time and show that it would notice; only {@link PAPER_RULES}
 * is exported from the sources, and only a test's subclass of `RaftNode` can put others in its place.
 */
import type { LogIndex, MemberId, Message, Term } from './types.ts';

/** What a message has to wait for: no write, the newest term and vote, or every write handed out so far. */
export type WaitsFor = 'nothing' | 'vote' | 'log';

/** A position in a log: its index and the term of the entry there. */
export interface LogPosition {
  readonly index: LogIndex;
  readonly term: Term;
}

export interface Rules {
  /** How many of `voters` are a majority (paper, section 5.1). */
  majority(voters: number): number;
  /** At most one vote a term (paper, figure 2, RequestVote 2). */
  mayVoteFor(votedFor: MemberId | null, candidate: MemberId): boolean;
  /** A voter refuses a candidate whose log is behind its own (paper, section 5.4.1). */
  isUpToDate(candidate: LogPosition, own: LogPosition): boolean;
  /** Nothing is promised before it is on this member's disk (paper, figure 2, "updated on stable storage before responding"). */
  waitsFor(message: Message): WaitsFor;
  /** What the leader counts for itself: what its own disk holds (thesis, 10.2.1). */
  ownMatch(durable: LogIndex, last: LogIndex): LogIndex;
  /** Only an entry of the leader's own term is committed by counting (paper, section 5.4.2, figure 8). */
  mayCommit(entryTerm: Term, currentTerm: Term): boolean;
  /** A message of an older term has no say (paper, section 5.1): no leader of the past, no vote of the past. */
  isStale(message: Message, currentTerm: Term): boolean;
  /** AppendEntries consistency check (paper, section 5.3); `own` is undefined when there is no entry. */
  prevMatches(own: Term | undefined, leaders: Term): boolean;
  /** Same index, other term: the rest of the log goes (paper, figure 2, AppendEntries 3). */
  conflicts(own: Term, leaders: Term): boolean;
  /** Entries behind the last one sent stay when nothing conflicts: the message may be an old one (paper, section 5.3). */
  cutsBehind(): boolean;
  /** What a follower acknowledges: what this message proved equal, not its whole log (paper, figure 2, AppendEntries 5). */
  acknowledges(lastSent: LogIndex, last: LogIndex): LogIndex;
  /** How far a follower may commit: what the leader says, and no further than is proven equal (paper, figure 2, AppendEntries 5). */
  followerCommit(leaderCommit: LogIndex, provenEqual: LogIndex): LogIndex;
  /** The commit index a heartbeat may tell, as it proves nothing about the follower's log. */
  heartbeatCommit(commit: LogIndex, match: LogIndex): LogIndex;
  /** How far a member applies: what is committed and on its own disk. */
  applyTo(commit: LogIndex, durable: LogIndex, last: LogIndex): LogIndex;
  /** One membership change at a time, after an entry of the leader's own term is committed (thesis, 4.1 and its erratum of 2015). */
  mayChange(latestChange: LogIndex, commit: LogIndex, commitTerm: Term, currentTerm: Term): boolean;
  /** A learner becomes a voter once it has caught up (thesis, 4.2.1). */
  mayPromote(caughtUp: boolean): boolean;
  /** A membership is in force when it is appended (paper, section 6). */
  membershipInForce(index: LogIndex, commit: LogIndex): boolean;
  /** A membership whose entry is cut off is in force no more (paper, section 6). */
  rollsBack(): boolean;
  /** A snapshot's membership takes the place of the member's own (paper, section 7: the snapshot includes the latest configuration). */
  restoresMembership(): boolean;
  /** A snapshot that covers no more than is committed here is not installed (paper, figure 13). */
  installs(snapshotIndex: LogIndex, commit: LogIndex): boolean;
  /** A leader knows what is committed only after an entry of its own term is (paper, section 8). */
  mayRead(commitTerm: Term, currentTerm: Term): boolean;
  /** A read is answered after a quorum has confirmed the leader in a round begun after the read came (paper, section 8). */
  readConfirmed(votersHeard: number, majority: number): boolean;
  /** And after the state machine has come as far as the read's index (thesis, 6.4). */
  mayAnswer(applied: LogIndex, readIndex: LogIndex): boolean;
}

/** Raft as it is written. */
export const PAPER_RULES: Rules = {
  majority: (voters) => Math.floor(voters / 2) + 1,
  mayVoteFor: (votedFor, candidate) => votedFor === null || votedFor === candidate,
  isUpToDate: (candidate, own) => candidate.term > own.term || (candidate.term === own.term && candidate.index >= own.index),
  waitsFor: waitsForDisk,
  ownMatch: (durable) => durable,
  mayCommit: (entryTerm, currentTerm) => entryTerm === currentTerm,
  isStale: (message, currentTerm) => message.term < currentTerm,
  prevMatches: (own, leaders) => own === leaders,
  conflicts: (own, leaders) => own !== leaders,
  cutsBehind: () => false,
  acknowledges: (lastSent) => lastSent,
  followerCommit: (leaderCommit, provenEqual) => Math.min(leaderCommit, provenEqual),
  heartbeatCommit: (commit, match) => Math.min(commit, match),
  applyTo: (commit, durable) => Math.min(commit, durable),
  mayChange: (latestChange, commit, commitTerm, currentTerm) => latestChange <= commit && commitTerm === currentTerm,
  mayPromote: (caughtUp) => caughtUp,
  membershipInForce: () => true,
  rollsBack: () => true,
  restoresMembership: () => true,
  installs: (snapshotIndex, commit) => snapshotIndex > commit,
  mayRead: (commitTerm, currentTerm) => commitTerm === currentTerm,
  readConfirmed: (votersHeard, majority) => votersHeard >= majority,
  mayAnswer: (applied, readIndex) => applied >= readIndex,
};

/**
 * Votes and requests for votes speak for the vote on disk; an acknowledgement speaks for the log. A leader's entries wait for nothing (thesis,
 * 10.2.1), nor do heartbeats: a slow disk must not look like a lost member. Questions and refusals promise nothing but their term.
 */
function waitsForDisk(message: Message): WaitsFor {
  switch (message.type) {
    case 'vote':
    case 'vote-reply':
    case 'heartbeat-reply':
      return 'vote';
    case 'append-reply':
      return message.ok ? 'log' : 'vote';
    case 'snapshot-reply':
      return message.done ? 'log' : 'vote';
    default:
      return 'nothing';
  }
}
