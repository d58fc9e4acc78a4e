/**
 * A log and a snapshot folder reduced to what Raft may rely on: writes become durable in order at a sync; a crash keeps some first part of those not
 * yet synced, and the record the power went in is torn, which a checksum shows, and cut. Cheap enough for tens of thousands of runs.
 */
import { createHash } from 'node:crypto';
import type {
  Entry, LogIndex, Persist, PersistentState, SnapshotMeta, SnapshotPoint, SnapshotWrite, Vote,
} from '../../src/swarm-agent/raft/types.ts';
import type { Events } from './events.ts';
import type { Random } from './random.ts';
import type { DiskFaults, Storage, StorageListener } from './storage.ts';

/** Mistakes a log could make; see planted.ts. */
export interface StorageMistakes {
  readonly trustsTornRecord?: boolean;
  readonly forgetsVote?: boolean;
}

export class ModelStorage implements Storage {
  private readonly events: Events;
  private readonly random: Random;
  private readonly faults: DiskFaults;
  private readonly mistakes: StorageMistakes;
  private listener: StorageListener | null = null;
  /** Counts crashes: what was under way before one never ends. */
  private life = 0;
  /** A sync failed: nothing is written any more until the log is opened again. */
  private broken = false;

  // Durable.
  private vote: Vote;
  private entries: Entry[];
  private snapshots: { readonly meta: SnapshotMeta; readonly content: Buffer }[] = [];
  private partial: { readonly digest: string; bytes: Buffer } | null = null;
  // Not yet.
  private waiting: Persist[] = [];
  private syncing: Persist[] | null = null;

  constructor(events: Events, random: Random, faults: DiskFaults, mistakes: StorageMistakes, founding: PersistentState) {
    this.events = events;
    this.random = random;
    this.faults = faults;
    this.mistakes = mistakes;
    this.vote = founding.vote;
    this.entries = [...founding.entries];
  }

  open(listener: StorageListener): { state: PersistentState; content: Buffer | null } {
    this.listener = listener;
    this.broken = false;
    const newest = this.snapshots[0] ?? null;
    const partial = this.partial === null ? null : { digest: this.partial.digest, bytes: this.partial.bytes.length };
    const state = { vote: this.vote, snapshot: newest?.meta ?? null, entries: [...this.entries], partial };
    return { state, content: newest?.content ?? null };
  }

  append(persist: Persist): void {
    if (this.broken) return;
    this.waiting.push(persist);
    if (this.syncing === null) this.sync();
  }

  /** Group commit: one sync for all that waits. */
  private sync(): void {
    const batch = (this.syncing = this.waiting);
    this.waiting = [];
    this.later(this.syncTime(), (listener) => {
      this.syncing = null;
      if (this.random.chance(this.faults.failing)) {
        this.broken = true;
        this.waiting = [];
        this.keepSome(batch);
        return listener.failed();
      }
      for (const persist of batch) this.write(persist);
      if (this.waiting.length > 0) this.sync();
      listener.durable(batch.at(-1)!.seq);
    });
  }

  private write({ vote, reset, entries }: Persist): void {
    if (vote !== null) this.vote = this.mistakes.forgetsVote ? { ...vote, votedFor: null } : vote;
    if (reset !== null) this.entries = [];
    if (entries.length === 0) return;
    const first = this.entries[0]?.index ?? entries[0]!.index;
    this.entries.length = Math.max(0, entries[0]!.index - first);
    this.entries.push(...entries);
  }

  read(from: LogIndex, bytesMax: number): readonly Entry[] | null {
    const first = this.entries[0]?.index ?? Infinity;
    if (from < first || from >= first + this.entries.length) return null;
    return this.entries.slice(from - first, from - first + 2 + Math.floor(bytesMax / 16));
  }

  compact(below: LogIndex): void {
    const first = this.entries[0]?.index ?? below;
    // Whole segments go, so now and then a little more stays than must.
    const drop = Math.min(this.entries.length, Math.max(0, below - first)) - this.random.int(0, 3);
    if (drop > 0) this.entries.splice(0, drop);
  }

  save(point: SnapshotPoint, content: Buffer): void {
    const meta = { ...point, size: content.length, digest: createHash('sha256').update(content).digest('hex') };
    this.later(3 * this.syncTime(), (listener) => {
      const failed = this.random.chance(this.faults.failing);
      if (!failed) this.keep(meta, content);
      listener.snapshotTaken(failed ? null : meta);
    });
  }

  /** The two newest stay. */
  private keep(meta: SnapshotMeta, content: Buffer): void {
    this.snapshots = [...this.snapshots, { meta, content }].sort((a, b) => b.meta.index - a.meta.index).slice(0, 2);
  }

  readSnapshot(meta: SnapshotMeta, offset: number, bytesMax: number): Buffer | null {
    return this.snapshots.find((kept) => kept.meta.digest === meta.digest)?.content.subarray(offset, offset + bytesMax) ?? null;
  }

  content(meta: SnapshotMeta): Buffer {
    return this.snapshots.find((kept) => kept.meta.digest === meta.digest)!.content;
  }

  receive({ meta, offset, data, last }: SnapshotWrite): void {
    this.later(this.syncTime(), (listener) => {
      if (offset === 0 || this.partial?.digest !== meta.digest) this.partial = { digest: meta.digest, bytes: Buffer.alloc(0) };
      const bytes = (this.partial.bytes = Buffer.concat([this.partial.bytes.subarray(0, offset), data]));
      if (!last) return listener.snapshotWritten(meta, bytes.length);
      this.partial = null;
      const whole = bytes.length === meta.size && createHash('sha256').update(bytes).digest('hex') === meta.digest;
      if (whole) this.keep(meta, bytes);
      listener.snapshotStored(meta, whole);
    });
  }

  crash(): void {
    this.listener = null;
    this.life += 1;
    this.keepSome([...(this.syncing ?? []), ...this.waiting]);
    this.waiting = [];
    this.syncing = null;
    if (this.partial !== null) this.partial.bytes = this.partial.bytes.subarray(0, this.random.int(0, this.partial.bytes.length));
  }

  /** Some first part of the unsynced writes is there all the same; the next one is torn. */
  private keepSome(unsynced: readonly Persist[]): void {
    const kept = this.random.int(0, unsynced.length);
    for (const persist of unsynced.slice(0, kept)) this.write(persist);
    const torn = unsynced[kept];
    if (torn !== undefined && this.mistakes.trustsTornRecord) this.write({ ...torn, entries: torn.entries.map(zeroed) });
  }

  private syncTime(): number {
    return this.random.between(...this.faults.syncMs) * this.faults.slowness;
  }

  /** Runs unless the member has crashed meanwhile. */
  private later(delayMs: number, run: (listener: StorageListener) => void): void {
    const { life } = this;
    this.events.after(delayMs, () => {
      if (this.listener !== null && this.life === life) run(this.listener);
    });
  }
}

/** What a torn write leaves of an entry: its header, and zeros where the data should be. */
function zeroed(entry: Entry): Entry {
  return entry.kind === 'command' ? { ...entry, data: new Uint8Array(entry.data.length) } : entry;
}
