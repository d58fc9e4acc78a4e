/** A member's disk: log and snapshots together, and the state that a snapshot turns into. */
import type { BeltError } from '../../errors.ts';
import { RaftLog, type LogOptions } from '../log/raft-log.ts';
import { SnapshotStore } from '../log/snapshots.ts';
import type { PersistentState, SnapshotMeta, SnapshotPoint, SnapshotWrite } from '../raft/types.ts';
import { decodeState, freeze } from '../store/snapshot.ts';
import type { ClusterState } from '../store/state.ts';
import type { MemberDisk } from './ports.ts';

export class Storage {
  readonly log: RaftLog;
  readonly snapshots: SnapshotStore;
  /** What the disk held when it was opened. */
  readonly found: PersistentState;
  /** The time of the state in the newest snapshot, ms of wall clock; null: there is none. */
  #snapshotAt: number | null = null;

  /** Reads the disk. Throws `BeltError('log_corrupt')` or `BeltError('disk')`. */
  constructor(options: LogOptions) {
    this.snapshots = new SnapshotStore(options.disk);
    const { log, vote, entries } = RaftLog.open(options);
    this.log = log;
    this.found = { vote, entries, snapshot: this.snapshots.newest, partial: this.snapshots.partial };
  }

  /** Whether the disk has never held a member. */
  get isNew(): boolean {
    return this.found.vote.term === 0 && this.found.entries.length === 0 && this.found.snapshot === null;
  }

  /** Begins a snapshot of `state` as it is now; `taken` is told how it ended, and why it could not be written. */
  save(point: SnapshotPoint, state: ClusterState, taken: (meta: SnapshotMeta | null, error: BeltError | null) => void): void {
    const encode = freeze(state);
    const { at } = state;
    this.snapshots.save(point, encode(), (meta, error) => {
      if (meta !== null) this.#snapshotAt = at;
      taken(meta, error);
    });
  }

  /** Takes a piece of a snapshot. `written`: it is aside. `stored`: it was the last, and the whole is durable or was damaged. */
  receive(write: SnapshotWrite, on: { written: (bytes: number) => void; stored: (ok: boolean) => void; failed: (error: BeltError) => void }): void {
    let isFine = true;
    this.snapshots.receive(write, (ok, error) => {
      isFine = error === null;
      if (error === null) on.stored(ok);
      else on.failed(error);
    });
    if (isFine && !write.last) on.written(write.offset + write.data.length);
  }

  /** The state in a stored snapshot. Throws `BeltError('log_corrupt')` or `BeltError('state_newer')`. */
  restore(meta: SnapshotMeta): ClusterState {
    const state = decodeState(this.snapshots.content(meta));
    // Entries without a command (a new leader's first, a membership) may lie between the last command and the snapshot's index.
    state.index = meta.index;
    this.#snapshotAt = state.at;
    return state;
  }

  figures(now: number): MemberDisk {
    return { logBytes: this.log.stats().bytes, snapshotAgeMs: this.#snapshotAt === null ? null : Math.max(0, now - this.#snapshotAt) };
  }

  close(): void {
    this.log.close();
    this.snapshots.close();
  }
}
