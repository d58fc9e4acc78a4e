/** What a simulated member keeps its log and snapshots on: the model of it (model-storage.ts) or the real code on a simulated disk (real-storage.ts). */
import type { Entry, LogIndex, Persist, PersistentState, SnapshotMeta, SnapshotPoint, SnapshotWrite } from '../../src/swarm-agent/raft/types.ts';

/** What the disk tells the member; never from within a call of the member. */
export interface StorageListener {
  durable(seq: number): void;
  failed(): void;
  snapshotTaken(meta: SnapshotMeta | null): void;
  snapshotWritten(meta: SnapshotMeta, bytes: number): void;
  snapshotStored(meta: SnapshotMeta, ok: boolean): void;
}

/** How the disks of a run behave. */
export interface DiskFaults {
  /** A sync takes this long, ms: [shortest, longest). */
  syncMs: readonly [number, number];
  /** How much slower syncs are now. */
  slowness: number;
  /** Chance that a sync fails. */
  failing: number;
}

export interface Storage {
  /** Reads what survived. `state.snapshot`'s content is `content`. */
  open(listener: StorageListener): { readonly state: PersistentState; readonly content: Buffer | null };
  append(persist: Persist): void;
  read(from: LogIndex, bytesMax: number): readonly Entry[] | null;
  compact(below: LogIndex): void;
  save(point: SnapshotPoint, content: Buffer): void;
  readSnapshot(meta: SnapshotMeta, offset: number, bytesMax: number): Buffer | null;
  receive(write: SnapshotWrite): void;
  /** The content of a stored snapshot. */
  content(meta: SnapshotMeta): Buffer;
  /** Power goes: what was not synced is lost, kept or torn, as chance has it. */
  crash(): void;
}
