/**
 * The state of one member (paper, figure 2, "State") and the few acts that all parts share: sending, changing term and role, taking a membership
 * in force. The parts are functions over it: election.ts, replication.ts, reads.ts, change.ts, transfer.ts, snapshot.ts, durability.ts.
 */
import { assert } from '../../errors.ts';
import { RaftLog } from './log.ts';
import { MembershipHistory, NO_MEMBERS, decodeMembership, findMember, votersOf } from './membership.ts';
import { Progress } from './progress.ts';
import type { LogPosition, Rules } from './rules.ts';
import { Timing } from './timing.ts';
import type {
  Entry, LogIndex, LogRead, Lost, MemberId, Membership, Message, Millis, PersistentState, RaftConfig, RaftEvent, ReadResult, Role, SnapshotMeta, SnapshotRead,
  SnapshotWrite, Term, Vote,
} from './types.ts';

/** One write handed to the disk and not yet reported. */
export interface PendingWrite {
  readonly seq: number;
  /** The last entry it makes durable; lowered when the entry is cut off meanwhile. */
  last: LogIndex;
  readonly vote: Vote | null;
}

/** A message that waits for a write. */
export interface HeldMessage {
  readonly seq: number;
  readonly message: Message;
}

/** What has piled up for the next `Ready`. */
export interface Effects {
  messages: Message[];
  reads: ReadResult[];
  lost: Lost | null;
  restore: SnapshotMeta | null;
  logReads: LogRead[];
  snapshotReads: SnapshotRead[];
  snapshotWrites: SnapshotWrite[];
  compact: LogIndex | null;
  events: RaftEvent[];
}

export const noEffects = (): Effects => ({
  messages: [], reads: [], lost: null, restore: null, logReads: [], snapshotReads: [], snapshotWrites: [], compact: null, events: [],
});

/** A snapshot being received. */
export interface IncomingSnapshot {
  readonly meta: SnapshotMeta;
  /** Bytes safely aside. */
  received: number;
  /** A piece is with the disk. */
  writing: boolean;
}

/** Reads at the leader (thesis, 6.4). */
export interface ReadQueue {
  /** Not yet in a round. */
  waiting: number[];
  /** The round under way, or null. */
  round: { readonly number: number; readonly index: LogIndex; readonly ids: number[] } | null;
  /** Confirmed, waiting for the state machine, in order of index. */
  confirmed: { readonly index: LogIndex; readonly ids: number[] }[];
  count: number;
  lastRound: number;
}

export class Core {
  readonly id: MemberId;
  readonly config: RaftConfig;
  readonly rules: Rules;
  readonly random: () => number;
  readonly log: RaftLog;
  readonly timing: Timing;
  readonly memberships: MembershipHistory;
  now: Millis;

  // On disk (paper, figure 2: persistent state). `durableVote` is what the disk is known to hold.
  term: Term;
  votedFor: MemberId | null;
  durableVote: Vote;
  snapshot: SnapshotMeta | null;

  // In memory (paper, figure 2: volatile state).
  role: Role = 'follower';
  leader: MemberId | null = null;
  commit: LogIndex;
  applied: LogIndex;
  /** Handed out to be applied. */
  applying: LogIndex;
  /** When a message of the leader last came. */
  leaderSeenAt: Millis = -Infinity;
  electionDue: Millis = 0;
  heartbeatDue: Millis = Infinity;
  quorumCheckDue: Millis = Infinity;
  /** The membership in force, and its voters. */
  membership: Membership = NO_MEMBERS;
  voters: MemberId[] = [];
  isVoter = false;

  // Candidates: who answered what.
  votes = new Map<MemberId, boolean>();
  // Leaders: a progress for each other member.
  progress = new Map<MemberId, Progress>();
  transfer: { readonly to: MemberId; readonly due: Millis; sent: boolean } | null = null;
  uncommittedBytes = 0;
  /** A follower may be behind what could be sent to it now. */
  replicationDue = false;
  reads: ReadQueue = { waiting: [], round: null, confirmed: [], count: 0, lastRound: 0 };

  incoming: IncomingSnapshot | null = null;
  partial: PersistentState['partial'];
  /** A snapshot of our own has been asked for. */
  snapshotAsked = false;
  snapshotDue = false;
  bytesSinceSnapshot = 0;

  // The disk.
  seq = 0;
  writes: PendingWrite[] = [];
  voteChanged = false;
  /** The number of the last write that carried a vote. */
  voteSeq = 0;
  resetDue: LogPosition | null = null;
  held: HeldMessage[] = [];
  effects: Effects = noEffects();
  roleChanged = false;

  constructor(id: MemberId, config: RaftConfig, rules: Rules, random: () => number, state: PersistentState, now: Millis) {
    this.id = id;
    this.config = config;
    this.rules = rules;
    this.random = random;
    this.now = now;
    this.timing = new Timing(config);
    this.term = state.vote.term;
    this.votedFor = state.vote.votedFor;
    this.durableVote = state.vote;
    this.snapshot = state.snapshot;
    this.partial = state.partial;
    const start = state.snapshot ?? { index: 0, term: 0, membership: NO_MEMBERS };
    const entries = this.entriesToKeep(state, start);
    this.log = new RaftLog(start, entries);
    this.commit = this.applied = this.applying = start.index;
    this.memberships = new MembershipHistory(start.index, rules.restoresMembership() ? start.membership : NO_MEMBERS);
    for (const entry of entries) if (entry.kind === 'membership') this.memberships.add(entry.index, decodeMembership(entry.data));
    this.takeMembership();
    this.resetElectionTimer();
  }

  /** Entries behind the snapshot. A log that ends before it or holds another term there was overtaken by the snapshot just before a crash, and begins anew. */
  private entriesToKeep(state: PersistentState, start: LogPosition): readonly Entry[] {
    const { entries } = state;
    if (entries.length === 0) {
      if (start.index > 0) this.resetDue = { index: start.index, term: start.term };
      return entries;
    }
    const first = entries[0]!.index;
    assert(first <= start.index + 1, `the log begins at ${first}, the snapshot ends at ${start.index}: entries between are missing`);
    const at = entries[start.index - first];
    if (first <= start.index && at?.term !== start.term) {
      this.resetDue = { index: start.index, term: start.term };
      return [];
    }
    return entries.slice(start.index + 1 - first);
  }

  get commitTerm(): Term {
    const term = this.log.term(this.commit);
    assert(term !== undefined, `the committed entry ${this.commit} is in the window`);
    return term;
  }
  get majority(): number { return this.rules.majority(this.voters.length); }
  get last(): LogPosition { return { index: this.log.lastIndex, term: this.log.lastTerm }; }

  event(event: RaftEvent): void {
    this.effects.events.push(event);
  }

  /** Sends a message now, or once the writes it speaks for are durable. */
  send(message: Message): void {
    const waitsFor = this.rules.waitsFor(message);
    const seq = waitsFor === 'nothing' ? 0 : waitsFor === 'vote' ? this.voteWrite() : this.logWrite();
    if (seq === 0) this.effects.messages.push(message);
    else this.held.push({ seq, message });
  }

  /** The write that makes the present vote durable; 0: it is. */
  private voteWrite(): number {
    if (this.voteChanged) return this.seq + 1;
    return this.writes.some((write) => write.seq === this.voteSeq) ? this.voteSeq : 0;
  }
  /** The write after which all that is in the log and the vote is durable; 0: it is. */
  private logWrite(): number {
    if (this.voteChanged || this.resetDue !== null || this.log.handed < this.log.lastIndex) return this.seq + 1;
    return this.writes.length > 0 ? this.seq : 0;
  }

  /** Enters a later term (paper, section 5.1): whatever was voted for is over. */
  enterTerm(term: Term, votedFor: MemberId | null): void {
    assert(term > this.term, `term ${term} follows ${this.term}`);
    this.term = term;
    this.votedFor = votedFor;
    this.voteChanged = true;
    this.roleChanged = true;
  }

  setRole(role: Role, leader: MemberId | null): void {
    if (this.role === role && this.leader === leader) return;
    this.role = role;
    this.leader = leader;
    this.roleChanged = true;
  }

  /** The timeout is drawn anew each time (paper, section 5.2). */
  resetElectionTimer(): void {
    this.electionDue = this.now + this.timing.electionMs * (1 + this.random());
  }

  /** Whether a live leader holds this member's loyalty: it votes for no other then (paper, section 6; thesis, 4.2.3). */
  hasLiveLeader(): boolean {
    return this.role === 'leader' || (this.leader !== null && this.now - this.leaderSeenAt < this.timing.electionMs);
  }

  /** Puts the newest membership in force (paper, section 6: "a server always uses the latest configuration in its log"). */
  takeMembership(): void {
    const { index, membership } = this.memberships.latest;
    this.membership = this.rules.membershipInForce(index, this.commit) ? membership : this.memberships.asOf(this.commit);
    this.voters = votersOf(this.membership);
    this.isVoter = this.voters.includes(this.id);
    this.timing.keep((id) => findMember(this.membership, id) !== undefined);
    if (this.role === 'leader') this.followMembership();
  }

  /** A leader keeps a progress for every other member and for nobody else. */
  followMembership(): void {
    for (const { id, voter } of this.membership.members) {
      if (id === this.id) continue;
      const known = this.progress.get(id);
      if (known === undefined) this.progress.set(id, this.newProgress(id, voter));
      else known.voter = voter;
    }
    for (const id of this.progress.keys()) if (findMember(this.membership, id) === undefined) this.progress.delete(id);
    this.replicationDue = true;
  }

  private newProgress(id: MemberId, voter: boolean): Progress {
    const progress = new Progress(id, voter, this.log.lastIndex + 1);
    if (!voter) progress.catchUp = { roundEnd: this.log.lastIndex, roundBegan: this.now, done: false };
    return progress;
  }

  /** Appends entries to the log and takes over the memberships among them. */
  append(entries: readonly Entry[]): void {
    this.log.append(entries);
    let changed = false;
    for (const entry of entries) {
      if (entry.kind !== 'membership') continue;
      const membership = decodeMembership(entry.data);
      this.memberships.add(entry.index, membership);
      this.event({ what: 'membership', index: entry.index, membership, rolledBack: false });
      changed = true;
    }
    if (changed) this.takeMembership();
  }

  /** Moves the commit index forward. */
  commitTo(index: LogIndex): void {
    if (index <= this.commit) return;
    assert(index <= this.log.lastIndex, `commit ${index} is in the log, which ends at ${this.log.lastIndex}`);
    const passesMembership = this.memberships.latest.index > this.commit;
    this.commit = index;
    if (passesMembership) this.takeMembership();
  }

  /** How many of the voters fulfil `holds`. */
  countVoters(holds: (id: MemberId) => boolean): number {
    let count = 0;
    for (const id of this.voters) if (holds(id)) count += 1;
    return count;
  }
}
