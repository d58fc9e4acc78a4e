/**
 * The log of one member on its disk: votes and entries in segments, written by group commit. One write is under way at any time; all that
 * is appended meanwhile shares the next record and the next sync. A failed write or sync is final: nobody knows what the disk holds then,
 * so nothing more is written or acknowledged until the log is opened anew.
 */
import { BeltError } from '../../errors.ts';
import type { Entry, LogIndex, Persist, Term, Vote } from '../raft/types.ts';
import type { Disk, DiskFile } from './disk.ts';
import type { EntryIndex } from './entry-index.ts';
import { recordBytes, readRecord, writeRecord } from './record.ts';
import { recover, type RecoveredSegment } from './recovery.ts';
import { SEGMENT_HEADER_BYTES, encodeSegmentHeader, segmentName, segmentNumber } from './segment.ts';
import { SpareSegment } from './spare-segment.ts';

export interface LogOptions {
  readonly disk: Disk;
  /** Size of a segment, bytes; a record that is larger gets a longer segment. Default 16 MiB. */
  readonly segmentBytes?: number;
  /** The write `seq` and all before it are durable. Never called from within {@link RaftLog.append}. */
  readonly onDurable: (seq: number) => void;
  /** The disk failed; nothing more will be written. Called once. */
  readonly onFailed: (error: BeltError) => void;
}

/** What {@link RaftLog.open} found. */
export interface OpenedLog {
  readonly log: RaftLog;
  readonly vote: Vote;
  readonly entries: readonly Entry[];
  readonly reset: { readonly index: LogIndex; readonly term: Term } | null;
  /** A record that a crash tore and that was cut off; for the agent's log. */
  readonly torn: { readonly name: string; readonly offset: number } | null;
}

/** Figures for status and metrics. */
export interface LogStats {
  /** Bytes of all segments, the preallocated part included. */
  readonly bytes: number;
  readonly segments: number;
  /** Since the log was opened. */
  readonly syncs: number;
  readonly writes: number;
}

const DEFAULT_SEGMENT_BYTES = 16 * 1024 * 1024;
/** Writes are gathered into one record up to about this size. */
const RECORD_BYTES_MAX = 8 * 1024 * 1024;

export class RaftLog {
  readonly #options: LogOptions;
  readonly #disk: Disk;
  readonly #segmentBytes: number;
  readonly #index: EntryIndex;
  readonly #segments: RecoveredSegment[];
  readonly #spare: SpareSegment;
  #file: DiskFile | null = null;
  #offset = 0;
  #sequence: number;
  #vote: Vote;
  #waiting: Persist[] = [];
  #writing = false;
  #closed = false;
  /** Reused for every record: a write to a file copies it. */
  #scratch = Buffer.allocUnsafeSlow(64 * 1024);
  #syncs = 0;
  #writes = 0;

  /** Reads the log of the folder. Throws `BeltError('log_corrupt')` when it is damaged, `BeltError('disk')` when it cannot be read. */
  static open(options: LogOptions): OpenedLog {
    const { disk } = options;
    const recovered = guarded(disk, () => {
      const names = disk.list().filter((name) => segmentNumber(name) !== null).sort();
      return recover(disk.where, names.map((name) => ({ name, bytes: readWhole(disk, name) })));
    });
    const log = guarded(disk, () => new RaftLog(options, recovered));
    return { log, vote: recovered.vote, entries: recovered.entries, reset: recovered.reset, torn: recovered.torn };
  }

  private constructor(options: LogOptions, { vote, index, segments, nextSequence, tail }: ReturnType<typeof recover>) {
    this.#options = options;
    this.#disk = options.disk;
    this.#segmentBytes = options.segmentBytes ?? DEFAULT_SEGMENT_BYTES;
    this.#index = index;
    this.#segments = segments;
    this.#sequence = nextSequence;
    this.#vote = vote;
    if (tail !== null) {
      this.#file = this.#disk.open(segmentName(segments.at(-1)!.number));
      this.#offset = tail;
    }
    this.#spare = new SpareSegment(this.#disk, this.#segmentBytes);
    // A log that begins with a new segment waits for it to be filled once: all its syncs are twice as fast for it.
    this.#writing = tail === null;
    this.#spare.prepare(() => {
      if (tail !== null) return;
      this.#writing = false;
      this.#next();
    });
  }

  /** Takes a write of the core; `onDurable` tells when it is on disk. Does nothing after a failure. */
  append(persist: Persist): void {
    if (this.#closed) return;
    this.#waiting.push(persist);
    if (!this.#writing) this.#next();
  }

  /**
   * Entries from `from` on, about `bytesMax` bytes of data but at least two where there are two; null when the log does not hold `from`.
   * Throws `BeltError('log_corrupt')` when a record cannot be read back.
   */
  read(from: LogIndex, bytesMax: number): Entry[] | null {
    const entries: Entry[] = [];
    let bytes = 0;
    for (let run = this.#index.find(from); run !== null; run = this.#index.find(from + entries.length)) {
      const wanted = new Map<LogIndex, Entry>();
      // A later item of the same record may have replaced an entry of an earlier one.
      for (const item of this.#readRecord(run.segment, run.offset, run.bytes)) for (const entry of item.entries) wanted.set(entry.index, entry);
      for (let index = from + entries.length; index <= run.last; index++) {
        const entry = wanted.get(index)!;
        if (entries.length >= 2 && bytes + entry.data.length > bytesMax) return entries;
        entries.push(entry);
        bytes += entry.data.length;
      }
    }
    return entries.length === 0 ? null : entries;
  }

  /** Removes the oldest segments that hold nothing at or after `below`. Call only when a durable snapshot covers what is below. */
  compact(below: LogIndex): void {
    if (this.#closed) return;
    let dropped = 0;
    while (dropped < this.#segments.length - 1 && this.#segments[dropped]!.lastIndex < below) dropped++;
    if (dropped === 0) return;
    try {
      for (const { number } of this.#segments.splice(0, dropped)) this.#disk.remove(segmentName(number));
      this.#index.dropBefore(this.#segments[0]!.number);
    } catch (error) {
      this.#fail(error);
    }
  }

  stats(): LogStats {
    const bytes = (this.#segments.length + (this.#spare.ready ? 1 : 0)) * this.#segmentBytes;
    return { bytes, segments: this.#segments.length, syncs: this.#syncs, writes: this.#writes };
  }

  /** Stops writing. What was appended and not yet reported durable may or may not be on disk. */
  close(): void {
    this.#closed = true;
    this.#spare.close();
    this.#file?.close();
    this.#file = null;
  }

  #readRecord(segment: number, offset: number, bytes: number): Pick<Persist, 'entries'>[] {
    return guarded(this.#disk, () => {
      // While the next segment is being put in place, no file is the active one.
      const active = segment === this.#segments.at(-1)!.number ? this.#file : null;
      const file = active ?? this.#disk.open(segmentName(segment));
      try {
        const record = readRecord(file.read(offset, bytes), 0);
        if (record === null) throw new BeltError('log_corrupt', `${this.#disk.where}/${segmentName(segment)} is damaged at byte ${offset}: a record that was good has changed`);
        return [...record.items];
      } finally {
        if (active === null) file.close();
      }
    });
  }

  /** Begins the next record with all that waits, in a new segment when the last is full. */
  #next(): void {
    if (this.#closed || this.#waiting.length === 0) return;
    this.#writing = true;
    const batch = this.#takeBatch();
    const bytes = recordBytes(batch);
    try {
      // A record longer than a segment gets one of its own.
      if (this.#file !== null && this.#offset + bytes <= this.#segmentBytes) this.#write(batch, bytes);
      else this.#roll(() => this.#write([{ vote: this.#vote, reset: null, entries: [] }, ...batch]));
    } catch (error) {
      this.#fail(error);
    }
  }

  #takeBatch(): Persist[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && (count === 0 || bytes < RECORD_BYTES_MAX)) bytes += recordBytes([this.#waiting[count++]!]);
    return this.#waiting.splice(0, count);
  }

  #write(items: readonly (Persist | Omit<Persist, 'seq'>)[], bytes = recordBytes(items)): void {
    if (this.#scratch.length < bytes) this.#scratch = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(bytes)));
    const record = writeRecord(this.#scratch, this.#sequence, items);
    const file = this.#file!;
    file.write(this.#offset, record);
    this.#note(items, record.length);
    this.#sequence++;
    this.#offset += record.length;
    this.#writes += items.length;
    const seq = (items.at(-1) as Persist).seq;
    this.#sync(file, () => {
      this.#writing = false;
      // The next record first: its sync then runs while what this one made durable is counted and answered.
      this.#next();
      this.#options.onDurable(seq);
    });
  }

  /** Keeps the index of entries and the vote as the record just written leaves them. */
  #note(items: readonly Omit<Persist, 'seq'>[], bytes: number): void {
    const segment = this.#segments.at(-1)!;
    for (const { vote, reset, entries } of items) {
      if (vote !== null) this.#vote = vote;
      if (reset !== null) this.#index.clear();
      if (entries.length === 0) continue;
      const first = entries[0]!.index;
      const last = first + entries.length - 1;
      this.#index.add({ segment: segment.number, offset: this.#offset, bytes, first, last });
      segment.lastIndex = Math.max(segment.lastIndex, last);
    }
  }

  /**
   * Starts a new segment: header, sync, rename into place, sync of the folder; only then may a record go into it. The segment before is
   * complete: its last record was synced before this began.
   */
  #roll(then: () => void): void {
    this.#file?.close();
    this.#file = null;
    const number = (this.#segments.at(-1)?.number ?? 0) + 1;
    const file = this.#spare.take();
    file.write(0, encodeSegmentHeader({ number, firstSequence: this.#sequence }));
    this.#sync(file, () => {
      this.#disk.rename(SpareSegment.fileName, segmentName(number));
      this.#disk.syncFolder((error) => this.#whenSynced(error, () => {
        this.#file = file;
        this.#offset = SEGMENT_HEADER_BYTES;
        this.#segments.push({ number, lastIndex: 0 });
        then();
        this.#spare.prepare();
      }));
    });
  }

  #sync(file: DiskFile, then: () => void): void {
    file.sync((error) => this.#whenSynced(error, then));
  }

  #whenSynced(error: Error | null, then: () => void): void {
    if (this.#closed) return;
    this.#syncs++;
    if (error !== null) return this.#fail(error);
    try {
      then();
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    this.#waiting = [];
    this.close();
    this.#options.onFailed(diskError(this.#disk, error));
  }
}

/** All bytes of a file. */
export function readWhole(disk: Disk, name: string): Buffer {
  const file = disk.open(name);
  try {
    return file.read(0, file.size());
  } finally {
    file.close();
  }
}

/** Any failure of the disk as an error that a person can act on. */
export function diskError(disk: Disk, error: unknown): BeltError {
  if (error instanceof BeltError) return error;
  const code = (error as { code?: string }).code;
  const next = code === 'ENOSPC' ? `make room in ${disk.where}, then start the agent again` : `check the disk under ${disk.where}, then start the agent again`;
  return new BeltError('disk', `the disk under ${disk.where} fails: ${error instanceof Error ? error.message : String(error)}`, { next, cause: error });
}

function guarded<T>(disk: Disk, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw diskError(disk, error);
  }
}
