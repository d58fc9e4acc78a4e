/**
 * The words of the Raft core: what is kept, what is sent, what is asked of the member that runs it. "Paper" is Ongaro and Ousterhout, "In Search
 * of an Understandable Consensus Algorithm" (extended version); "thesis" is Ongaro's "Consensus: Bridging Theory and Practice".
 *
 * The core does nothing itself. It is given inputs (methods of `RaftNode`, each with the time) and answers with a {@link Ready}: a list of things to do. What must
 * wait for the disk is held back *inside the core* and comes out of a later `Ready`, when the write is durable: no vote or acknowledgement is sent too early.
 */

/** A member's id (the node id in its certificate). Never used twice for different disks. */
export type MemberId = string;
/** A term number (paper, section 5.1); 0 before the first election. */
export type Term = number;
/** A position in the log; the first entry is 1, 0 stands for "nothing". */
export type LogIndex = number;
/** Milliseconds on a monotonic clock of this member alone; only differences mean anything. */
export type Millis = number;

/** What an entry carries. `noop` is the empty entry of a new leader (paper, section 8), `membership` a whole {@link Membership}, encoded. */
export type EntryKind = 'command' | 'noop' | 'membership';

/** One entry of the log. Made once when it is proposed or received and shared ever after: never change one, nor its bytes. */
export interface Entry {
  readonly index: LogIndex;
  readonly term: Term;
  readonly kind: EntryKind;
  /** Opaque to the core unless `kind` is `membership`. Empty for a noop. */
  readonly data: Uint8Array;
}

/** One member of the group. A member that is no voter is a learner: it receives entries and is counted nowhere (thesis, 4.2.1). */
export interface Member {
  readonly id: MemberId;
  readonly voter: boolean;
  /** Where the transport dials it, `host:port`; opaque to the core. */
  readonly address: string;
}

/** All members, sorted by id, none twice. In force from the moment its entry is *appended* (paper, section 6; thesis, 4.1). */
export interface Membership {
  readonly members: readonly Member[];
}

/** A change of one member (thesis, 4.1): consecutive memberships differ in one voter at most, so any two majorities overlap. */
export type MembershipChange =
  /** Adds a learner. */
  | { readonly kind: 'add'; readonly id: MemberId; readonly address: string }
  /** Turns a learner that has caught up into a voter. */
  | { readonly kind: 'promote'; readonly id: MemberId }
  | { readonly kind: 'remove'; readonly id: MemberId }
  /** The member lives elsewhere now. */
  | { readonly kind: 'address'; readonly id: MemberId; readonly address: string };

/** What a member must remember about elections (paper, figure 2: currentTerm, votedFor). Written together, atomically. */
export interface Vote {
  readonly term: Term;
  readonly votedFor: MemberId | null;
}

/** What a snapshot stands for (paper, figure 13), with the membership *as of its index*, not the latest. */
export interface SnapshotMeta {
  /** The last entry it covers, and that entry's term. */
  readonly index: LogIndex;
  readonly term: Term;
  readonly membership: Membership;
  /** Bytes of its content. */
  readonly size: number;
  /** Digest of its content (any text): two snapshots of one digest are the same bytes, so a broken transfer may go on from another leader. */
  readonly digest: string;
}

/** Of a snapshot about to be made: all but what only its content can tell. */
export type SnapshotPoint = Pick<SnapshotMeta, 'index' | 'term' | 'membership'>;

/** What the disk holds when a member starts. A member that has never run starts from {@link EMPTY_STATE} (it then waits to be added). */
export interface PersistentState {
  readonly vote: Vote;
  /** The newest complete snapshot. */
  readonly snapshot: SnapshotMeta | null;
  /** Every entry the log holds, contiguous; may begin at or before the snapshot's index. After the snapshot none may be missing. */
  readonly entries: readonly Entry[];
  /** A snapshot whose transfer was cut: how many bytes of it are safely aside. Null: none. */
  readonly partial: { readonly digest: string; readonly bytes: number } | null;
}

export const EMPTY_STATE: PersistentState = { vote: { term: 0, votedFor: null }, snapshot: null, entries: [], partial: null };

interface Header {
  readonly from: MemberId;
  readonly to: MemberId;
  /** The sender's term; of a `pre-vote`, the term it would campaign in. */
  readonly term: Term;
}

/** "Would you vote for me in that term?" (thesis, 9.6). Changes nothing at the receiver. */
export interface PreVote extends Header {
  readonly type: 'pre-vote';
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  /** The sender's clock, echoed in the reply: measures the round trip. */
  readonly sentAt: Millis;
}
export interface PreVoteReply extends Header {
  readonly type: 'pre-vote-reply';
  readonly granted: boolean;
  /** The term that was asked about. */
  readonly asked: Term;
  readonly sentAt: Millis;
}
/** RequestVote (paper, figure 2). */
export interface VoteRequest extends Header {
  readonly type: 'vote';
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  /** The old leader asked for this election (thesis, 3.10): a voter does not wait for its lease to run out. */
  readonly transfer: boolean;
}
export interface VoteReply extends Header {
  readonly type: 'vote-reply';
  readonly granted: boolean;
}
/** AppendEntries (paper, figure 2). `entries` follow `prevIndex` without a gap; it may be empty. */
export interface Append extends Header {
  readonly type: 'append';
  readonly prevIndex: LogIndex;
  readonly prevTerm: Term;
  readonly entries: readonly Entry[];
  readonly commit: LogIndex;
}
export interface AppendReply extends Header {
  readonly type: 'append-reply';
  readonly ok: boolean;
  /** ok: the follower's log equals the leader's up to here, on its disk. Not ok: the `prevIndex` it refuses. */
  readonly index: LogIndex;
  /** Not ok: the term the follower has at that index, 0 when its log is shorter (paper, end of section 5.3). */
  readonly conflictTerm: Term;
  /** Not ok: the first index it holds of that term, or the index after its last entry. */
  readonly conflictIndex: LogIndex;
}
/** An AppendEntries without entries (paper, section 5.2), kept apart so that it never waits behind a full pipeline or a disk. */
export interface Heartbeat extends Header {
  readonly type: 'heartbeat';
  /** Never beyond what the receiver is known to hold. */
  readonly commit: LogIndex;
  /** The newest round of reads that waits for a quorum (paper, section 8; thesis, 6.4). */
  readonly round: number;
  readonly sentAt: Millis;
  /** The election timeout that follows from the round trips the leader measures; members use it until they hear another. */
  readonly electionMs: Millis;
}
export interface HeartbeatReply extends Header {
  readonly type: 'heartbeat-reply';
  readonly round: number;
  readonly sentAt: Millis;
}
/** InstallSnapshot (paper, figure 13), one chunk. Without data and not `last` it asks how much the follower has already. */
export interface SnapshotChunk extends Header {
  readonly type: 'snapshot';
  readonly meta: SnapshotMeta;
  readonly offset: number;
  readonly data: Uint8Array;
  readonly last: boolean;
}
export interface SnapshotReply extends Header {
  readonly type: 'snapshot-reply';
  readonly digest: string;
  /** The offset wanted next; equal to the size when the snapshot is installed. */
  readonly next: number;
  /** The snapshot (or more) is in force: the follower's log equals the leader's up to `index`. */
  readonly done: boolean;
  readonly index: LogIndex;
}
/** "Campaign now" (thesis, 3.10). */
export interface TimeoutNow extends Header {
  readonly type: 'timeout-now';
}

/** All that members say to each other. May be lost, doubled, reordered and late; must not be altered (TLS and the frames see to that). */
export type Message =
  | PreVote | PreVoteReply | VoteRequest | VoteReply | Append | AppendReply | Heartbeat | HeartbeatReply | SnapshotChunk | SnapshotReply | TimeoutNow;

/** One write to the disk, in the order of `seq`. Several may be under way; the disk may join them in one sync (group commit). */
export interface Persist {
  /** Grows by one. Report with `persisted(now, seq)`, which says that this write and all before it are durable. */
  readonly seq: number;
  /** New term and vote; null: unchanged. */
  readonly vote: Vote | null;
  /** Drop the whole log first: it begins anew after this entry, which a durable snapshot covers. Null: do not. */
  readonly reset: { readonly index: LogIndex; readonly term: Term } | null;
  /** To append. Whatever the log holds at or after `entries[0].index` is cut off first (paper, figure 2, AppendEntries 3). */
  readonly entries: readonly Entry[];
}

/** Entries a slow follower needs and memory no longer holds: read them, hand them to `logRead`. */
export interface LogRead {
  readonly to: MemberId;
  /** The first index to read (often the one *before* the first the follower lacks, for its term). */
  readonly from: LogIndex;
  /** Stop after about so many bytes of data, but give at least two entries where there are two. */
  readonly bytesMax: number;
}
/** A piece of the snapshot `meta` to read for a follower: hand it to `snapshotRead`. */
export interface SnapshotRead {
  readonly to: MemberId;
  readonly meta: SnapshotMeta;
  readonly offset: number;
  readonly bytesMax: number;
}
/** A piece of a snapshot received. Write it aside at `offset` (0: begin anew), then call `snapshotWritten`; after the `last`: check size and digest, sync, rename, sync the folder, then `snapshotStored`. */
export interface SnapshotWrite {
  readonly meta: SnapshotMeta;
  readonly offset: number;
  readonly data: Uint8Array;
  readonly last: boolean;
}

/** `failed`: the disk failed under this member; it takes part in nothing until it is started anew from its disk. */
export type Role = 'follower' | 'pre-candidate' | 'candidate' | 'leader' | 'failed';

/** The member's role, term or the leader it knows has changed. */
export interface RoleChange {
  readonly role: Role;
  readonly term: Term;
  readonly leader: MemberId | null;
}

/** Leadership of `term` is over: proposals accepted in it at indexes above `after` have an unknown outcome; those up to it are still applied and acknowledged. */
export interface Lost {
  readonly term: Term;
  readonly after: LogIndex;
}

/** A read the caller asked for. ok: answer it now, from the state machine as it is. Not ok: leadership was lost, nothing was read, ask the new leader. */
export interface ReadResult {
  readonly id: number;
  readonly ok: boolean;
}

/** What happened, for logs and traces. Rare things only: nothing here is made per entry. */
export type RaftEvent =
  | { readonly what: 'pre-campaign' | 'campaign' | 'elected'; readonly term: Term }
  | { readonly what: 'stepped-down'; readonly term: Term; readonly why: 'higher-term' | 'no-quorum-contact' | 'removed' | 'disk-failed' }
  | { readonly what: 'pre-vote' | 'vote'; readonly term: Term; readonly candidate: MemberId; readonly granted: boolean; readonly why: VoteReason }
  | { readonly what: 'truncated'; readonly from: LogIndex; readonly to: LogIndex }
  | { readonly what: 'membership'; readonly index: LogIndex; readonly membership: Membership; readonly rolledBack: boolean }
  | { readonly what: 'caught-up'; readonly member: MemberId }
  | { readonly what: 'snapshot-sending' | 'snapshot-sent'; readonly to: MemberId; readonly index: LogIndex; readonly offset: number }
  | { readonly what: 'snapshot-receiving' | 'snapshot-installed'; readonly index: LogIndex; readonly offset: number }
  | { readonly what: 'transfer'; readonly to: MemberId; readonly state: 'begun' | 'sent' | 'given-up' }
  | { readonly what: 'timeouts'; readonly heartbeatMs: Millis; readonly electionMs: Millis };

/** Why a voter said what it said. */
export type VoteReason = 'granted' | 'old-term' | 'voted-for-other' | 'log-behind' | 'leader-alive';

/**
 * What to do, in this order where one thing leans on another:
 * 1. hand `persist` to the disk (do not wait), 2. send `messages`, 3. begin the snapshot that is wanted, 4. `restore` the state machine,
 * 5. `apply`, then `applied(now, index)`, 6. answer `reads`, tell the proposers of `lost`, 7. the rest in any order.
 * Arrays are not reused: keep them as long as needed, change none.
 */
export interface Ready {
  readonly persist: Persist | null;
  /** All of these may go at once; they wait for no write. */
  readonly messages: readonly Message[];
  /** Replace the state machine by this stored snapshot, then call `applied(now, restore.index)`. Proposals of ours at or below it that were not answered yet have an unknown outcome. */
  readonly restore: SnapshotMeta | null;
  /** Committed and on this member's own disk: apply in order. An entry with the (index, term) of a proposal of ours acknowledges it. */
  readonly apply: readonly Entry[];
  readonly reads: readonly ReadResult[];
  readonly lost: Lost | null;
  readonly role: RoleChange | null;
  readonly logReads: readonly LogRead[];
  readonly snapshotReads: readonly SnapshotRead[];
  readonly snapshotWrites: readonly SnapshotWrite[];
  /** Time for a snapshot of the state machine as it is *before* `apply` of this Ready (it has applied exactly `index`). Catch the state synchronously, write it at leisure, report with `snapshotTaken`. Asked once until then. */
  readonly snapshotWanted: SnapshotPoint | null;
  /** The disk may drop entries below this index (whole segments, when it likes); null: nothing new. */
  readonly compact: LogIndex | null;
  readonly events: readonly RaftEvent[];
}

/** Why a proposal, read, change or transfer was refused: nothing was appended, nothing will ever appear of it. */
export type Refusal =
  /** Not leader; ask {@link Refused.leader}. */
  | 'not-leader'
  /** Leadership is being handed over. */
  | 'transferring'
  /** Too much is uncommitted or waiting; try again soon. */
  | 'overloaded'
  /** An entry is larger than `entryBytesMax`. */
  | 'too-large'
  /** A membership change is still uncommitted, or the leader has committed nothing in its term yet. */
  | 'change-pending'
  /** The learner lags too far to vote. */
  | 'not-caught-up'
  /** No such member, or it is one already, or it is the last voter. */
  | 'no-such-change'
  /** No follower can take over. */
  | 'no-successor';

export interface Refused {
  readonly ok: false;
  readonly why: Refusal;
  /** The leader as far as known. */
  readonly leader: MemberId | null;
}
/** Appended to the leader's log at `index` (of a batch: its first) in `term`. */
export interface Accepted {
  readonly ok: true;
  readonly index: LogIndex;
  readonly term: Term;
}
export type Proposed = Accepted | Refused;

/** Numbers on everything. Ranges are checked by `checkConfig` (config.ts). */
export interface RaftConfig {
  /** Shortest and longest pause between heartbeats, ms. The one in use follows the measured round trips. */
  readonly heartbeatMsMin: number;
  readonly heartbeatMsMax: number;
  /** Shortest and longest base of the election timeout, ms; the timeout is drawn from [base, 2·base). */
  readonly electionMsMin: number;
  readonly electionMsMax: number;
  /** Largest entry a proposal may carry, bytes. */
  readonly entryBytesMax: number;
  /** About the largest append message, bytes of data (a single larger entry still goes). */
  readonly appendBytesMax: number;
  /** Appends and bytes of data under way to one follower and not yet acknowledged. */
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
  /** Uncommitted entries and bytes beyond which proposals are refused as `overloaded`. */
  readonly uncommittedEntriesMax: number;
  readonly uncommittedBytesMax: number;
  /** Reads waiting for a quorum or for the state machine. */
  readonly readsMax: number;
  /** Entries handed out in one {@link Ready.apply}. */
  readonly applyEntriesMax: number;
  /** Bytes of data kept in memory for followers; older entries are read from disk. Unapplied entries are kept in any case. */
  readonly windowBytesMax: number;
  /** Take a snapshot after so many entries, or bytes of data, since the last. */
  readonly snapshotEntries: number;
  readonly snapshotBytes: number;
  /** Entries kept in the log behind a snapshot, so that a follower a little behind needs no snapshot. */
  readonly trailingEntries: number;
  /** Bytes of one snapshot chunk. */
  readonly snapshotChunkBytes: number;
}

/** How the leader sees one other member. */
export interface PeerStatus {
  readonly id: MemberId;
  readonly voter: boolean;
  readonly match: LogIndex;
  /** Entries of the leader's log it does not have. */
  readonly lag: number;
  readonly state: 'probe' | 'replicate' | 'snapshot';
  /** Smoothed round trip, ms; null before the first measurement. */
  readonly rttMs: number | null;
  /** Since it was last heard, ms; null: never in this term. */
  readonly lastContactMs: number | null;
  /** A learner: whether it may be promoted now. */
  readonly caughtUp: boolean;
}

/** What `belt swarm status` shows. `peers` is empty except at the leader. */
export interface RaftStatus {
  readonly id: MemberId;
  readonly role: Role;
  readonly term: Term;
  readonly leader: MemberId | null;
  readonly membership: Membership;
  readonly commit: LogIndex;
  readonly applied: LogIndex;
  /** Everything up to here is on this member's disk. */
  readonly durable: LogIndex;
  readonly firstIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  readonly snapshotIndex: LogIndex;
  readonly heartbeatMs: Millis;
  readonly electionMs: Millis;
  readonly peers: readonly PeerStatus[];
}
