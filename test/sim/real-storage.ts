/** The real log and snapshot code of the agent on a simulated disk. */
import { RaftLog } from '../../src/swarm-agent/log/raft-log.ts';
import { SnapshotStore } from '../../src/swarm-agent/log/snapshots.ts';
import type { Entry, LogIndex, Persist, PersistentState, SnapshotMeta, SnapshotPoint, SnapshotWrite } from '../../src/swarm-agent/raft/types.ts';
import type { Events } from './events.ts';
import type { Random } from './random.ts';
import { SimDisk } from './sim-disk.ts';
import type { DiskFaults, Storage, StorageListener } from './storage.ts';

/** So small that a run fills many. */
const SEGMENT_BYTES = 4096;

export class RealStorage implements Storage {
  private readonly disk: SimDisk;
  private log: RaftLog | null = null;
  private snapshots: SnapshotStore | null = null;
  private listener: StorageListener | null = null;
  private soon: (run: () => void) => void;

  constructor(events: Events, random: Random, faults: DiskFaults, founding: PersistentState) {
    const waiting: (() => void)[] = [];
    this.soon = (run) => void waiting.push(run);
    this.disk = new SimDisk(random, (run) => this.soon(run), () => this.listener !== null && random.chance(faults.failing));
    if (founding.entries.length > 0) this.found(founding, waiting);
    this.soon = (run) => events.after(random.between(...faults.syncMs) * faults.slowness, run);
  }

  /** Writes what a founder begins with, at once. */
  private found({ vote, entries }: PersistentState, waiting: (() => void)[]): void {
    const { log } = RaftLog.open({ disk: this.disk, segmentBytes: SEGMENT_BYTES, onDurable: () => {}, onFailed: (error) => { throw error; } });
    log.append({ seq: 1, vote, reset: null, entries });
    while (waiting.length > 0) waiting.shift()!();
    log.close();
  }

  open(listener: StorageListener): { state: PersistentState; content: Buffer | null } {
    this.listener = listener;
    this.snapshots = new SnapshotStore(this.disk);
    const { log, vote, entries } = RaftLog.open({
      disk: this.disk, segmentBytes: SEGMENT_BYTES, onDurable: (seq) => this.listener?.durable(seq), onFailed: () => this.listener?.failed(),
    });
    this.log = log;
    const { newest: snapshot, partial } = this.snapshots;
    return { state: { vote, snapshot, entries, partial }, content: snapshot === null ? null : this.snapshots.content(snapshot) };
  }

  append(persist: Persist): void { this.log!.append(persist); }
  read(from: LogIndex, bytesMax: number): readonly Entry[] | null { return this.log!.read(from, bytesMax); }
  compact(below: LogIndex): void { this.log!.compact(below); }

  save(point: SnapshotPoint, content: Buffer): void {
    const { listener } = this;
    // The store may answer at once; the member must not be called from within its own call.
    this.snapshots!.save(point, [content].values(), (meta) => this.soon(() => this.same(listener)?.snapshotTaken(meta)));
  }

  readSnapshot(meta: SnapshotMeta, offset: number, bytesMax: number): Buffer | null { return this.snapshots!.read(meta, offset, bytesMax); }

  receive(write: SnapshotWrite): void {
    const { listener } = this;
    let failed = false;
    this.snapshots!.receive(write, (ok, error) => {
      failed = error !== null;
      this.soon(() => (failed ? this.same(listener)?.failed() : this.same(listener)?.snapshotStored(write.meta, ok)));
    });
    if (!failed && !write.last) this.soon(() => this.same(listener)?.snapshotWritten(write.meta, write.offset + write.data.length));
  }

  content(meta: SnapshotMeta): Buffer { return this.snapshots!.content(meta); }

  crash(): void {
    this.listener = null;
    this.log?.close();
    this.snapshots?.close();
    this.disk.crash();
  }

  /** The listener, if it is still the one that asked: each start of a member brings its own. */
  private same(asked: StorageListener | null): StorageListener | null {
    return asked !== null && this.listener === asked ? asked : null;
  }
}
