/**
 * Reading a log back, as a pure function of its files' bytes. A torn last record is cut; anything else that does not fit stops the member
 * with `BeltError('log_corrupt')`, because what cannot be read may have been acknowledged.
 */
import { BeltError } from '../../errors.ts';
import type { Entry, LogIndex, Term, Vote } from '../raft/types.ts';
import { EntryIndex } from './entry-index.ts';
import { endOfData, findRecord, readRecord, tornOrRotten, type LogItem, type LogRecord } from './record.ts';
import { SEGMENT_HEADER_BYTES, decodeSegmentHeader, segmentNumber } from './segment.ts';

/** A segment as it is on disk. */
export interface SegmentFile {
  readonly name: string;
  readonly bytes: Buffer;
}

/** A segment after recovery. */
export interface RecoveredSegment {
  readonly number: number;
  /** The highest index ever written to it, 0 for none: below it nothing may be dropped. */
  lastIndex: LogIndex;
}

export interface Recovered {
  readonly vote: Vote;
  /** Where the log begins anew after a snapshot was installed, as far as the files still tell. */
  readonly reset: { readonly index: LogIndex; readonly term: Term } | null;
  readonly entries: readonly Entry[];
  readonly index: EntryIndex;
  readonly segments: RecoveredSegment[];
  /** The sequence number of the next record. */
  readonly nextSequence: number;
  /** The offset in the last segment where writing may go on; null: begin a new segment. */
  readonly tail: number | null;
  /** What was cut off: a record that a crash tore. */
  readonly torn: { readonly name: string; readonly offset: number } | null;
}

/** Reads the segments of `folder` (named in messages), in the order of their numbers. Throws `BeltError('log_corrupt')`. */
export function recover(folder: string, files: readonly SegmentFile[]): Recovered {
  const recovery = new Recovery(folder);
  files.forEach((file, i) => recovery.segment(file, i === files.length - 1));
  return recovery.result();
}

/** The error for a damaged file: what is damaged, and the ways out. */
export function corrupt(folder: string, name: string, offset: number, why: string): BeltError {
  return new BeltError('log_corrupt', `${folder}/${name} is damaged at byte ${offset}: ${why}`, {
    next: 'keep a copy of the folder; while the other managers have a quorum, `belt swarm demote` and `belt swarm promote` of this node fetch the log anew; without one, `belt swarm rebuild`',
  });
}

class Recovery {
  readonly #folder: string;
  readonly #index = new EntryIndex();
  readonly #segments: RecoveredSegment[] = [];
  #vote: Vote = { term: 0, votedFor: null };
  #reset: Recovered['reset'] = null;
  #entries: Entry[] = [];
  #sequence = 0;
  #tail: number | null = null;
  #torn: Recovered['torn'] = null;

  constructor(folder: string) {
    this.#folder = folder;
  }

  result(): Recovered {
    return {
      vote: this.#vote, reset: this.#reset, entries: this.#entries, index: this.#index, segments: this.#segments,
      nextSequence: Math.max(1, this.#sequence), tail: this.#tail, torn: this.#torn,
    };
  }

  segment({ name, bytes }: SegmentFile, isLast: boolean): void {
    const header = decodeSegmentHeader(bytes);
    if (header === null || header.number !== segmentNumber(name)) throw corrupt(this.#folder, name, 0, 'the header is wrong');
    const before = this.#segments.at(-1);
    if (before === undefined) this.#sequence = header.firstSequence;
    else if (header.number !== before.number + 1) throw corrupt(this.#folder, name, 0, `segment ${before.number + 1} is missing before it`);
    else if (header.firstSequence !== this.#sequence) throw corrupt(this.#folder, name, 0, `records ${this.#sequence} to ${header.firstSequence - 1} are missing before it`);
    const segment = { number: header.number, lastIndex: 0 };
    this.#segments.push(segment);
    const end = this.#records(segment, name, bytes);
    if (isLast) this.#finish(name, bytes, end);
    else this.#checkEnd(name, bytes, end);
  }

  /** Takes the records of a segment and returns the offset behind the last good one. */
  #records(segment: RecoveredSegment, name: string, bytes: Buffer): number {
    let at = SEGMENT_HEADER_BYTES;
    for (;;) {
      const record = this.#read(name, bytes, at);
      if (record === null) return at;
      if (record.sequence !== this.#sequence) throw corrupt(this.#folder, name, at, `record ${record.sequence} stands where ${this.#sequence} belongs`);
      for (const item of record.items) this.#apply(item, segment, name, at, record.bytes);
      this.#sequence++;
      at += record.bytes;
    }
  }

  #read(name: string, bytes: Buffer, at: number): LogRecord | null {
    try {
      return readRecord(bytes, at);
    } catch (error) {
      throw corrupt(this.#folder, name, at, `the record is whole but makes no sense: ${(error as Error).message}`);
    }
  }

  #apply(item: LogItem, segment: RecoveredSegment, name: string, offset: number, bytes: number): void {
    if (item.vote !== null) this.#vote = item.vote;
    if (item.reset !== null) {
      this.#reset = item.reset;
      this.#entries = [];
      this.#index.clear();
    }
    const first = item.entries[0]?.index;
    if (first === undefined) return;
    const from = this.#entries[0]?.index ?? (this.#reset === null ? first : this.#reset.index + 1);
    // Entries may begin before all that is known: what they cut off here began in a segment that a snapshot has since let go.
    const earliest = this.#reset === null ? 1 : this.#reset.index + 1;
    if (first < earliest || first > from + this.#entries.length) throw corrupt(this.#folder, name, offset, `entry ${first} does not follow ${from + this.#entries.length - 1}`);
    this.#entries.length = Math.max(0, first - from);
    for (const entry of item.entries) this.#entries.push(entry);
    const last = first + item.entries.length - 1;
    this.#index.add({ segment: segment.number, offset, bytes, first, last });
    segment.lastIndex = Math.max(segment.lastIndex, last);
  }

  /** A segment that others follow may end in a torn record: its sequence number was given again, in the next segment, or that one's header would not fit. */
  #checkEnd(name: string, bytes: Buffer, end: number): void {
    const later = findRecord(bytes, end, this.#sequence);
    if (later !== null) throw corrupt(this.#folder, name, end, `a record is unreadable, and there are good ones after it (at byte ${later})`);
  }

  /** The end of the log: clean, torn, or damaged. */
  #finish(name: string, bytes: Buffer, end: number): void {
    this.#checkEnd(name, bytes, end);
    if (endOfData(bytes, end) === end) {
      this.#tail = end;
      return;
    }
    if (tornOrRotten(bytes, end) === 'rotten') throw corrupt(this.#folder, name, end, 'the last record was written whole and has changed since');
    this.#torn = { name, offset: end };
  }
}
