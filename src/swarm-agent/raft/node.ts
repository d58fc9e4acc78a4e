/**
 * One member of a Raft group, as a pure machine: inputs in, a {@link Ready} out. Give it what happened (every method takes the
 * time first), then ask `ready(now)` what to do. It is deterministic: the same inputs, times and random numbers give the same answers.
 *
 * A runner is a loop: feed all inputs at hand, then `while (node.hasReady()) { const r = node.ready(now); … }`, then sleep until an input or
 * `node.wakeAt()`. Gathering inputs before asking is what makes batches: one append per follower and one write for all that waits.
 */
import { Core, noEffects } from './core.ts';
import { applyLimit, settle, takeApply, takeWrite, writeDue } from './durability.ts';
import { electionTimeout } from './election.ts';
import { leaderTick } from './leader.ts';
import { encodeMembership } from './membership.ts';
import { changeMembership, propose, refused } from './propose.ts';
import { answerReads, beginRound, enqueueRead, roundDue } from './reads.ts';
import { receive } from './receive.ts';
import { onLogRead, replicate } from './replication.ts';
import { retireFailed } from './role.ts';
import { PAPER_RULES } from './rules.ts';
import type { Rules } from './rules.ts';
import { checkSnapshotDue, onSnapshotStored, onSnapshotTaken, onSnapshotWritten, wantSnapshot } from './snapshot-receive.ts';
import { onSnapshotRead } from './snapshot-send.ts';
import { statusOf } from './status.ts';
import { beginTransfer } from './transfer.ts';
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

export class RaftNode {
  private readonly core: Core;

  /** Starts as follower (paper, figure 2). Throws when `state` has a gap: a corrupt disk is refused, not guessed at. */
  constructor({ id, config, state, random, now }: RaftOptions) {
    this.core = new Core(id, config, this.rules(), random, state, now);
  }

  /** The paper's; only the simulation's faulty members answer anything else. */
  protected rules(): Rules {
    return PAPER_RULES;
  }

  /** Time has passed; call at {@link wakeAt} or later. */
  tick(now: Millis): void {
    const core = this.at(now);
    if (core.role === 'leader') leaderTick(core);
    else if (core.now >= core.electionDue) electionTimeout(core);
  }

  /** When `tick` is due at the latest; Infinity for a failed member. */
  wakeAt(): Millis {
    const { role, electionDue, heartbeatDue, quorumCheckDue, transfer } = this.core;
    return role === 'leader' ? Math.min(heartbeatDue, quorumCheckDue, transfer?.due ?? Infinity) : electionDue;
  }

  /** A message of another member arrived. One that is not for this member is ignored. */
  receive(now: Millis, message: Message): void {
    receive(this.at(now), message);
  }

  /** Appends commands to the leader's log, all or none, in order. Acknowledged once `Ready.apply` brings the entry of that index *and term*; unknown once `Ready.lost` covers it. */
  propose(now: Millis, commands: readonly Uint8Array[]): Proposed {
    return propose(this.at(now), commands);
  }

  /** Proposes a change of one member. It is in force as soon as it is appended and final when it is applied. */
  changeMembership(now: Millis, change: MembershipChange): Proposed {
    return changeMembership(this.at(now), change);
  }

  /** Asks for a linearizable read (thesis, 6.4); `id` is the caller's and comes back in `Ready.reads` exactly once unless refused here. */
  read(now: Millis, id: number): { readonly ok: true } | Refused {
    const core = this.at(now);
    if (core.role !== 'leader') return refused(core, 'not-leader');
    return enqueueRead(core, id) ? { ok: true } : refused(core, 'overloaded');
  }

  /** Hands leadership to `target`, or to the voter that is furthest (thesis, 3.10). Proposals are refused meanwhile; given up after two election timeouts. A graceful stop calls this first and waits for `Ready.role`. */
  transferLeadership(now: Millis, target: MemberId | null): { readonly ok: true; readonly to: MemberId } | Refused {
    const core = this.at(now);
    const begun = beginTransfer(core, target);
    return 'why' in begun ? refused(core, begun.why) : { ok: true, to: begun.to };
  }

  /** The write `seq` and all before it are durable. Everything that waited for them is counted, answered and sent from here. */
  persisted(now: Millis, seq: number): void {
    const core = this.at(now);
    if (core.role !== 'failed') settle(core, seq);
  }

  /** A write or sync failed, so nobody knows what the disk holds: the member stops taking part (role `failed`), a leader first names a successor. Final: open the log anew and start another `RaftNode`. */
  persistFailed(now: Millis): void {
    const core = this.at(now);
    if (core.role !== 'failed') retireFailed(core);
  }

  /** The state machine has applied everything up to `index`. */
  applied(now: Millis, index: LogIndex): void {
    const core = this.at(now);
    core.applied = Math.max(core.applied, index);
    core.log.trim(Math.min(core.applied, core.log.durable), core.config.windowBytesMax);
    checkSnapshotDue(core);
    answerReads(core);
  }

  /** Answers `Ready.logReads`: `entries[0].index` is `from`; null when the disk holds them no more. */
  logRead(now: Millis, to: MemberId, from: LogIndex, entries: readonly Entry[] | null): void {
    onLogRead(this.at(now), to, from, entries);
  }

  /** Answers `Ready.snapshotReads`: the bytes at `offset`; null when that snapshot is gone (a newer one took its place). */
  snapshotRead(now: Millis, to: MemberId, meta: SnapshotMeta, offset: number, data: Uint8Array | null): void {
    onSnapshotRead(this.at(now), to, meta, offset, data);
  }

  /** Answers `Ready.snapshotWrites` (not the last): `bytes` of that snapshot are aside. */
  snapshotWritten(now: Millis, meta: SnapshotMeta, bytes: number): void {
    onSnapshotWritten(this.at(now), meta, bytes);
  }

  /** Answers the last of `Ready.snapshotWrites`: the snapshot is durable under its name (true), or it was damaged and thrown away (false). */
  snapshotStored(now: Millis, meta: SnapshotMeta, ok: boolean): void {
    onSnapshotStored(this.at(now), meta, ok);
  }

  /** Answers `Ready.snapshotWanted`: our own snapshot is durable, or could not be made (null; asked again later). */
  snapshotTaken(now: Millis, meta: SnapshotMeta | null): void {
    onSnapshotTaken(this.at(now), meta);
  }

  /** Whether `ready` would give anything to do. Cheap. */
  hasReady(): boolean {
    const { core } = this;
    const { effects } = core;
    return (
      core.roleChanged || (core.role === 'leader' && core.replicationDue) || (core.role !== 'failed' && writeDue(core)) || applyLimit(core) > core.applying ||
      (core.snapshotDue && core.applied === core.applying) || roundDue(core) || effects.messages.length > 0 || effects.reads.length > 0 || effects.events.length > 0 ||
      effects.snapshotReads.length > 0 || effects.snapshotWrites.length > 0 || effects.logReads.length > 0 ||
      effects.lost !== null || effects.restore !== null || effects.compact !== null
    );
  }

  /** All there is to do now. Each thing is given once. */
  ready(now: Millis): Ready {
    const core = this.at(now);
    const snapshotWanted = wantSnapshot(core);
    if (roundDue(core)) beginRound(core);
    if (core.role === 'leader' && core.replicationDue) replicate(core);
    const persist = takeWrite(core);
    const apply = takeApply(core);
    const { effects, roleChanged } = core;
    core.effects = noEffects();
    core.roleChanged = false;
    const role = roleChanged ? { role: core.role, term: core.term, leader: core.leader } : null;
    return { persist, apply, snapshotWanted, role, ...effects };
  }

  /** What Raft knows, for people and metrics. */
  status(now: Millis): RaftStatus {
    return statusOf(this.at(now));
  }

  /** The core at `now`; its clock never runs backwards. */
  private at(now: Millis): Core {
    this.core.now = Math.max(this.core.now, now);
    return this.core;
  }
}

/** What every founding member writes to its disk before its first start: the same first entry, which holds the membership. Members added later start from `EMPTY_STATE`. */
export function foundingState(membership: Membership): PersistentState {
  const members = [...membership.members].sort((a, b) => (a.id < b.id ? -1 : 1));
  const entry: Entry = { index: 1, term: 1, kind: 'membership', data: encodeMembership({ members }) };
  return { vote: { term: 1, votedFor: null }, snapshot: null, entries: [entry], partial: null };
}
