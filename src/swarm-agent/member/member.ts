/**
 * One manager's member of the Raft group: it drives the pure core (`raft/`) with the disk (`log/`), the other managers (`transport/`), the
 * state machine (`store/`) and the clock. All of these are arguments, so that a harness can host hundreds of members in one process.
 */
import { BeltError, asBeltError } from '../../errors.ts';
import type { Clock } from '../ports.ts';
import { checkConfig } from '../raft/config.ts';
import { RaftNode, foundingState } from '../raft/node.ts';
import type { Entry, MemberId, MembershipChange, Message, Millis, RaftEvent, RaftStatus, Ready, RoleChange, SnapshotMeta } from '../raft/types.ts';
import { command, decodeCommand, encodeCommand, type Change } from '../store/commands.ts';
import type { Revision } from '../store/records.ts';
import { stateHash } from '../store/snapshot.ts';
import { ClusterState } from '../store/state.ts';
import { Answers, refusal, type Waiting } from './answers.ts';
import type { MemberDisk, MemberEvents, MemberOptions, Network } from './ports.ts';
import { Storage } from './storage.ts';

interface Proposal extends Waiting<Revision> {
  readonly bytes: Buffer;
}

/** Most proposals that wait for the next turn; more are refused as overloaded. */
const PROPOSALS_MAX = 65_536;
/** Pause before another try at a snapshot that could not be written, ms. */
export const SNAPSHOT_RETRY_MS = 10_000;

export class Member {
  readonly id: MemberId;
  readonly epoch: number;
  readonly #clock: Clock;
  readonly #events: MemberEvents;
  readonly #defer: (act: () => void) => void;
  readonly #node: RaftNode;
  readonly #storage: Storage;
  readonly #network: Network;
  readonly #answers = new Answers();
  #state: ClusterState;
  #proposals: Proposal[] = [];
  #turnDue = false;
  #timer: { readonly at: Millis; readonly cancel: () => void } | null = null;
  /** Called when this member ceases to lead, while a transfer is awaited. */
  #leavingLead: (() => void) | null = null;
  #closed = false;

  /** Reads the disk and begins as a follower. Throws `BeltError('log_corrupt')`, `BeltError('disk')`, `BeltError('state_newer')` or `BeltError('config')`. */
  constructor(options: MemberOptions) {
    this.id = options.id;
    this.epoch = options.epoch ?? 0;
    this.#clock = options.clock;
    this.#events = options.events ?? {};
    this.#defer = options.soon ?? ((act) => void setImmediate(act));
    const { disk, segmentBytes } = options;
    this.#storage = new Storage({ disk, ...(segmentBytes === undefined ? {} : { segmentBytes }), onDurable: (seq) => this.#durable(seq), onFailed: (error) => this.#fail(error) });
    const { found, isNew } = this.#storage;
    this.#state = found.snapshot === null ? new ClusterState() : this.#storage.restore(found.snapshot);
    const founded = isNew && options.founding !== undefined ? foundingState(options.founding) : null;
    this.#node = new RaftNode({ id: this.id, config: checkConfig(options.config), state: founded ?? found, random: options.random, now: this.#clock.monotonic() });
    // Number 0 comes before the core's own writes: when one of those is durable, so is this.
    if (founded !== null) this.#storage.log.append({ seq: 0, vote: founded.vote, reset: null, entries: founded.entries });
    this.#network = options.network((messages) => this.#receive(messages));
    this.#membershipInForce();
    this.#soon();
  }

  /** The cluster's state as far as this member has applied it. After {@link read} it holds every acknowledged write. The object changes when a snapshot is installed: do not keep it. */
  get state(): ClusterState {
    return this.#state;
  }

  status(): RaftStatus {
    return this.#node.status(this.#clock.monotonic());
  }

  disk(): MemberDisk {
    return this.#storage.figures(this.#clock.now());
  }

  /** The hash of the state at its index, for comparing members. Holds the process up for tens of milliseconds with thousands of nodes: for tests and drills, never on a timer. */
  hash(): { readonly index: number; readonly hash: string } {
    return { index: this.#state.index, hash: stateHash(this.#state) };
  }

  /**
   * Writes a change. Resolves when it is on a majority's disks and applied here: acknowledged, never lost. Rejects with the state machine's
   * refusal (`refused`, `unknown_machine`, `bad_request`: nothing was changed), with `no_quorum` or a retryable `refused` where nothing was
   * appended, and with `outcome_unknown` where leadership was lost in between. `id` names the request (1 to 64 characters): a repeat returns
   * the first result; give a repeat `first`, when it was first sent (ms), so that one too old to be recognised is refused.
   */
  write(id: string, change: Change, first?: number): Promise<Revision> {
    return new Promise((resolve, reject) => {
      try {
        this.#enqueue({ bytes: encodeCommand(command(id, this.#clock.now(), change, first)), resolve, reject });
      } catch (error) {
        reject(error as BeltError);
      }
    });
  }

  /** Resolves when {@link state} holds every write acknowledged before the call (a linearizable read). Rejects with `no_quorum` where this member does not lead. */
  read(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(stopped());
      const id = this.#answers.expectRead({ resolve, reject });
      const asked = this.#node.read(this.#clock.monotonic(), id);
      if (asked.ok) return this.#soon();
      this.#answers.read(id, false);
    });
  }

  /** Changes the membership by one member; resolves when the change is committed. Rejects as {@link write}; `refused` and retryable where it is only too early. */
  change(change: MembershipChange): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(stopped());
      const proposed = this.#node.changeMembership(this.#clock.monotonic(), change);
      if (!proposed.ok) return reject(refusal(proposed.why, proposed.leader));
      this.#answers.expectWrite(proposed.index, proposed.term, { resolve: () => resolve(), reject });
      this.#soon();
    });
  }

  /** Hands leadership to `target` (null: the most advanced); resolves when it is gone, rejects with `refused` when nobody took it. */
  async transfer(target: MemberId | null): Promise<void> {
    if (this.#closed) throw stopped();
    const begun = this.#node.transferLeadership(this.#clock.monotonic(), target);
    if (!begun.ok) throw refusal(begun.why, begun.leader);
    this.#soon();
    const waitMs = 4 * this.status().electionMs;
    await new Promise<void>((resolve, reject) => {
      const cancel = this.#clock.after(waitMs, () => {
        this.#leavingLead = null;
        reject(new BeltError('refused', `${begun.to} did not take over the lead`, { retryable: true }));
      });
      this.#leavingLead = () => {
        cancel();
        resolve();
      };
    });
  }

  /** Stops. A leader hands over first, so that the others need no election timeout to notice; `close` alone is a crash to them. */
  async stop(): Promise<void> {
    if (!this.#closed && this.status().role === 'leader') await this.transfer(null).catch(() => undefined);
    this.close();
  }

  /** Stops at once. Whoever waits is told that the outcome is unknown. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    this.#network.close();
    this.#storage.close();
    this.#refuseProposals(stopped);
    this.#answers.close('this manager has stopped');
  }

  // Inputs. Each is noted in the core at once; what follows from all of them together is done in the next turn.

  #receive(messages: readonly Message[]): void {
    if (this.#closed) return;
    try {
      const now = this.#clock.monotonic();
      for (const message of messages) this.#node.receive(now, message);
      this.#soon();
    } catch (error) {
      this.#fail(asBeltError(error));
    }
  }

  #enqueue(proposal: Proposal): void {
    if (this.#closed) return proposal.reject(stopped());
    if (this.#proposals.length >= PROPOSALS_MAX) return proposal.reject(refusal('overloaded', this.id));
    this.#proposals.push(proposal);
    this.#soon();
  }

  #soon(): void {
    if (this.#turnDue || this.#closed) return;
    this.#turnDue = true;
    this.#defer(() => this.#turn());
  }

  #turn(): void {
    this.#turnDue = false;
    if (this.#closed) return;
    try {
      const now = this.#clock.monotonic();
      this.#propose(now);
      if (now >= this.#node.wakeAt()) this.#node.tick(now);
      while (this.#node.hasReady() && !this.#closed) this.#carryOut(this.#node.ready(now), now);
      this.#wakeInTime();
    } catch (error) {
      this.#fail(asBeltError(error));
    }
  }

  #propose(now: Millis): void {
    const proposals = this.#proposals;
    this.#proposals = [];
    for (const { bytes, resolve, reject } of proposals) {
      const proposed = this.#node.propose(now, [bytes]);
      if (proposed.ok) this.#answers.expectWrite(proposed.index, proposed.term, { resolve, reject });
      else reject(refusal(proposed.why, proposed.leader));
    }
  }

  /**
   * The order of everything. What must not leave before a write is durable (a vote, an acknowledgement) the core holds back until
   * `persisted`; so the messages here may go before our own write has begun, the leader's entries among them (thesis, 10.2.1), and go first: the
   * followers write at the same time then. An entry comes back to be applied only when it is committed and on our own disk, and only then is its
   * writer answered.
   */
  #carryOut(ready: Ready, now: Millis): void {
    if (ready.snapshotWanted !== null) this.#takeSnapshot(ready.snapshotWanted);
    if (ready.messages.length > 0) this.#network.send(ready.messages);
    if (ready.persist !== null) this.#storage.log.append(ready.persist);
    if (ready.restore !== null) this.#install(ready.restore, now);
    if (ready.apply.length > 0) this.#apply(ready.apply, now);
    for (const { id, ok } of ready.reads) this.#answers.read(id, ok);
    if (ready.lost !== null) this.#answers.lost(ready.lost);
    if (ready.role !== null) this.#roleChanged(ready.role);
    for (const { to, from, bytesMax } of ready.logReads) this.#node.logRead(now, to, from, this.#storage.log.read(from, bytesMax));
    for (const { to, meta, offset, bytesMax } of ready.snapshotReads) this.#node.snapshotRead(now, to, meta, offset, this.#storage.snapshots.read(meta, offset, bytesMax));
    for (const write of ready.snapshotWrites) this.#receiveSnapshot(write, now);
    if (ready.compact !== null) this.#storage.log.compact(ready.compact);
    for (const event of ready.events) this.#tell(event);
  }

  #apply(entries: readonly Entry[], now: Millis): void {
    for (const entry of entries) {
      if (entry.kind === 'command') {
        const decoded = decodeCommand(entry.data);
        const result = this.#state.apply(entry.index, decoded);
        this.#answers.applied(entry, result);
        this.#events.onApplied?.(decoded, result);
      } else {
        this.#state.index = entry.index;
        this.#answers.applied(entry, { ok: true, revision: entry.index });
      }
    }
    this.#node.applied(now, entries.at(-1)!.index);
  }

  // The disk.

  #durable(seq: number): void {
    this.#node.persisted(this.#clock.monotonic(), seq);
    this.#soon();
  }

  #takeSnapshot(point: NonNullable<Ready['snapshotWanted']>): void {
    this.#storage.save(point, this.#state, (meta, error) => {
      if (this.#closed) return;
      if (error === null) return this.#snapshotTaken(meta);
      this.#events.onSnapshotFailed?.(error);
      // Until then the core takes it for under way: on a full disk it would ask for another at every write.
      this.#clock.after(SNAPSHOT_RETRY_MS, () => this.#snapshotTaken(null));
    });
  }

  #snapshotTaken(meta: SnapshotMeta | null): void {
    if (this.#closed) return;
    this.#node.snapshotTaken(this.#clock.monotonic(), meta);
    this.#soon();
  }

  #receiveSnapshot(write: Ready['snapshotWrites'][number], now: Millis): void {
    this.#storage.receive(write, {
      written: (bytes) => this.#node.snapshotWritten(now, write.meta, bytes),
      stored: (ok) => {
        if (this.#closed) return;
        this.#node.snapshotStored(this.#clock.monotonic(), write.meta, ok);
        this.#soon();
      },
      failed: (error) => this.#fail(error),
    });
  }

  #install(meta: SnapshotMeta, now: Millis): void {
    this.#state = this.#storage.restore(meta);
    this.#answers.overtaken(meta.index);
    this.#node.applied(now, meta.index);
    this.#events.onRestored?.();
  }

  // Time, the others, and the end.

  #wakeInTime(): void {
    const due = this.#node.wakeAt();
    // A timer that fires too early only looks again; so it is not moved each time a heartbeat puts the deadline off.
    if (this.#closed || due === Infinity || (this.#timer !== null && this.#timer.at <= due)) return;
    this.#timer?.cancel();
    const cancel = this.#clock.after(Math.max(0, due - this.#clock.monotonic()), () => {
      this.#timer = null;
      this.#turn();
    });
    this.#timer = { at: due, cancel };
  }

  #roleChanged(change: RoleChange): void {
    if (change.role !== 'leader') {
      this.#leavingLead?.();
      this.#leavingLead = null;
    }
    this.#events.onRole?.(change);
  }

  #tell(event: RaftEvent): void {
    if (event.what === 'membership' || event.what === 'snapshot-installed') this.#membershipInForce();
    this.#events.onEvent?.(event);
  }

  #membershipInForce(): void {
    const { membership } = this.status();
    this.#network.setPeers(membership.members);
    this.#events.onMembership?.(membership);
  }

  /** Takes part no more, at once and for good: the managers went on without this one. Whoever waits gets `outcome_unknown`; the state stays readable, as it was. */
  abandon(why: BeltError): void {
    if (this.#closed) return;
    this.#node.persistFailed(this.#clock.monotonic());
    this.close();
    this.#events.onFailed?.(why);
  }

  /** The disk, the state machine or the core (a bug of ours) cannot go on: the others are told by what the core still sends, whoever waits gets `outcome_unknown`. */
  #fail(error: BeltError): void {
    if (this.#closed) return;
    try {
      const now = this.#clock.monotonic();
      this.#node.persistFailed(now);
      this.#network.send(this.#node.ready(now).messages);
    } catch {
      // A core that cannot even say goodbye; what brought us here is the error to tell.
    }
    this.close();
    this.#events.onFailed?.(error);
  }

  #refuseProposals(why: () => BeltError): void {
    for (const { reject } of this.#proposals.splice(0)) reject(why());
  }
}

function stopped(): BeltError {
  return new BeltError('no_quorum', 'this manager has stopped');
}
