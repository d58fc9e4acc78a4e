/**
 * The end of the log that is kept in memory, and how much of it is on disk. A window: what is applied and durable may leave it when it
 * grows too large (`trim`), and is then read from disk for a follower that needs it. Terms never fall along a log, which is what makes the searches
 * by term binary.
 */
import { assert } from '../../errors.ts';
import type { Entry, LogIndex, Term } from './types.ts';

/** Counted for each entry beside its data, so that empty entries fill the window too. */
const ENTRY_OVERHEAD_BYTES = 64;
/** Dropped entries at the front of the array before it is moved together. */
const SLACK = 1024;

const NONE: readonly Entry[] = [];

export class RaftLog {
  /** The entry just before the window. */
  private base: { index: LogIndex; term: Term };
  /** `entries[head]` has index `base.index + 1`. */
  private entries: Entry[];
  private head = 0;
  private bytes = 0;
  /** Everything up to here is on this member's disk. */
  durable: LogIndex;
  /** Everything up to here has been handed to the disk. */
  handed: LogIndex;
  /** The disk may have dropped everything up to here. */
  compacted: LogIndex;

  constructor(base: { readonly index: LogIndex; readonly term: Term }, entries: readonly Entry[]) {
    this.base = { index: base.index, term: base.term };
    this.entries = [];
    this.append(entries);
    this.durable = this.handed = this.lastIndex;
    this.compacted = base.index;
  }

  get lastIndex(): LogIndex { return this.base.index + this.entries.length - this.head; }
  get lastTerm(): Term { return this.entries.length === this.head ? this.base.term : this.entries[this.entries.length - 1]!.term; }
  /** The first index still in memory (it may not exist yet). */
  get firstInMemory(): LogIndex { return this.base.index + 1; }

  /** Term of the entry at `index`; undefined when there is none or memory no longer tells. */
  term(index: LogIndex): Term | undefined {
    if (index <= this.base.index) return index === this.base.index ? this.base.term : undefined;
    return this.entries[this.position(index)]?.term;
  }

  /** Adds entries that follow the last one. */
  append(entries: readonly Entry[]): void {
    for (const entry of entries) {
      assert(entry.index === this.lastIndex + 1, `entry ${entry.index} follows ${this.lastIndex}`);
      assert(entry.term >= this.lastTerm, `term ${entry.term} at ${entry.index} follows term ${this.lastTerm}`);
      this.entries.push(entry);
      this.bytes += entry.data.length + ENTRY_OVERHEAD_BYTES;
    }
  }

  /** Drops the entries from `from` on. */
  truncate(from: LogIndex): void {
    for (const entry of this.entries.splice(this.position(from))) this.bytes -= entry.data.length + ENTRY_OVERHEAD_BYTES;
    this.handed = Math.min(this.handed, from - 1);
    this.durable = Math.min(this.durable, from - 1);
  }

  /** Begins anew after a snapshot. */
  reset(index: LogIndex, term: Term): void {
    this.base = { index, term };
    this.entries = [];
    this.head = this.bytes = 0;
    this.durable = this.handed = this.compacted = index;
  }

  /** Entries from `from` up to `to`, stopping once there are `bytesMax` bytes of data; at least one where there is one. */
  slice(from: LogIndex, to: LogIndex, bytesMax = Infinity): readonly Entry[] {
    if (from > to) return NONE;
    const start = this.position(from);
    const end = this.position(to) + 1;
    assert(start >= this.head && end <= this.entries.length, `entries ${from} to ${to} are in memory`);
    if (bytesMax === Infinity) return this.entries.slice(start, end);
    let stop = start;
    let bytes = 0;
    while (stop < end && (stop === start || bytes + this.entries[stop]!.data.length <= bytesMax)) bytes += this.entries[stop++]!.data.length;
    return this.entries.slice(start, stop);
  }

  /** The first index in memory whose term is that of the entry at `index`. */
  firstOfTermAt(index: LogIndex): LogIndex {
    const term = this.term(index)!;
    return this.firstAtLeast(term);
  }

  /** The last index in memory of `term`; undefined when memory holds none. */
  lastOfTerm(term: Term): LogIndex | undefined {
    const index = this.firstAtLeast(term + 1) - 1;
    return this.term(index) === term ? index : undefined;
  }

  /** Forgets entries up to `to`, oldest first, while memory holds more than `bytesMax`. */
  trim(to: LogIndex, bytesMax: number): void {
    while (this.bytes > bytesMax && this.base.index < to) {
      const entry = this.entries[this.head++]!;
      this.bytes -= entry.data.length + ENTRY_OVERHEAD_BYTES;
      this.base = { index: entry.index, term: entry.term };
    }
    if (this.head < SLACK || this.head * 2 < this.entries.length) return;
    this.entries.splice(0, this.head);
    this.head = 0;
  }

  private position(index: LogIndex): number { return index - this.base.index - 1 + this.head; }

  /** The first index in memory whose term is `term` or more. */
  private firstAtLeast(term: Term): LogIndex {
    let low = this.firstInMemory;
    let high = this.lastIndex + 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.term(middle)! >= term) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
