/**
 * One member of a Raft group, as a pure machine: inputs in, a {@link Ready} out. Give it what happened (every method takes the
 * time first), then ask `ready(now)` what to do. It is deterministic: the same inputs, times and random numbers give the same answers.
 *
 * A runner is a loop: feed all inputs at hand, then `while (node.hasReady()) { const r = node.ready(now); … }`, then sleep until an input or
 * `node.wakeAt()`. Gathering inputs before asking is what makes batches: one append per follower and one write for all that waits.
 */
import type {
  Entry, LogIndex, MemberId, Membership, MembershipChange, Message, Millis, PersistentState, Proposed, RaftConfig, RaftStatus, Ready, Refused, SnapshotMeta,
} from './types.ts';

export interface RaftOptions {
  readonly id: MemberId;
  readonly config: RaftConfig;
  /** What the disk holds. */
  readonly state: PersistentState;
  /** Uniform in [0, 1): draws the election timeouts. Seed it per member. */
  readonly random: () => number;
  readonly now: Millis;
}

const soon = (): never => {
  throw new Error('not built yet');
};

export class RaftNode {
  /** Starts as follower (paper, figure 2). Throws when `state` has a gap: a corrupt disk is refused, not guessed at. */
  constructor(_options: RaftOptions) {}

  /** Time has passed; call at {@link wakeAt} or later. */
  tick(_now: Millis): void { soon(); }
  /** When `tick` is due at the latest; Infinity for a failed member. */
  wakeAt(): Millis { return soon(); }
  /** A message of another member arrived. One that is not for this member is ignored. */
  receive(_now: Millis, _message: Message): void { soon(); }

  /** Appends commands to the leader's log, all or none, in order. Acknowledged once `Ready.apply` brings the entry of that index *and term*; unknown once `Ready.lost` covers it. */
  propose(_now: Millis, _commands: readonly Uint8Array[]): Proposed { return soon(); }
  /** Proposes a change of one member. It is in force as soon as it is appended and final when it is applied. */
  changeMembership(_now: Millis, _change: MembershipChange): Proposed { return soon(); }
  /** Asks for a linearizable read (thesis, 6.4); `id` is the caller's and comes back in `Ready.reads` exactly once unless refused here. */
  read(_now: Millis, _id: number): { readonly ok: true } | Refused { return soon(); }
  /** Hands leadership to `target`, or to the voter that is furthest (thesis, 3.10). Proposals are refused meanwhile; given up after one election timeout. A graceful stop calls this first and waits for `Ready.role`. */
  transferLeadership(_now: Millis, _target: MemberId | null): { readonly ok: true; readonly to: MemberId } | Refused { return soon(); }

  /** The write `seq` and all before it are durable. Everything that waited for them is counted, answered and sent from here. */
  persisted(_now: Millis, _seq: number): void { soon(); }
  /** A write or sync failed, so nobody knows what the disk holds: the member stops taking part (role `failed`), a leader first names a successor. Final: open the log anew and start another `RaftNode`. */
  persistFailed(_now: Millis): void { soon(); }
  /** The state machine has applied everything up to `index`. */
  applied(_now: Millis, _index: LogIndex): void { soon(); }

  /** Answers `Ready.logReads`: `entries[0].index` is `from`; null when the disk holds them no more. */
  logRead(_now: Millis, _to: MemberId, _from: LogIndex, _entries: readonly Entry[] | null): void { soon(); }
  /** Answers `Ready.snapshotReads`: the bytes at `offset`; null when that snapshot is gone (a newer one took its place). */
  snapshotRead(_now: Millis, _to: MemberId, _meta: SnapshotMeta, _offset: number, _data: Uint8Array | null): void { soon(); }
  /** Answers `Ready.snapshotWrites` (not the last): `bytes` of that snapshot are aside. */
  snapshotWritten(_now: Millis, _meta: SnapshotMeta, _bytes: number): void { soon(); }
  /** Answers the last of `Ready.snapshotWrites`: the snapshot is durable under its name (true), or it was damaged and thrown away (false). */
  snapshotStored(_now: Millis, _meta: SnapshotMeta, _ok: boolean): void { soon(); }
  /** Answers `Ready.snapshotWanted`: our own snapshot is durable, or could not be made (null; asked again later). */
  snapshotTaken(_now: Millis, _meta: SnapshotMeta | null): void { soon(); }

  /** Whether `ready` would give anything to do. Cheap. */
  hasReady(): boolean { return soon(); }
  /** All there is to do now. Each thing is given once. */
  ready(_now: Millis): Ready { return soon(); }

  /** What Raft knows, for people and metrics. */
  status(_now: Millis): RaftStatus { return soon(); }
}

/** What every founding member writes to its disk before its first start: the same first entry, which holds the membership. Members added later start from `EMPTY_STATE`. */
export function foundingState(_membership: Membership): PersistentState { return soon(); }
