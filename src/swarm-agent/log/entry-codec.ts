/** Raft entries as bytes, one after another, for the log and for the wire: term (8), kind (1), length of the data (4), data; little-endian. Indexes are implied: entries follow each other without a gap. */
import type { Entry, EntryKind } from '../raft/types.ts';

const KINDS: readonly EntryKind[] = ['command', 'noop', 'membership'];
const KIND_BYTES: Readonly<Record<EntryKind, number>> = { command: 0, noop: 1, membership: 2 };
const ENTRY_HEADER_BYTES = 13;
const TWO_TO_32 = 0x1_0000_0000;

/** Writes a whole number of 0 to 2^53-1 as 8 bytes. */
export function writeU64(target: Buffer, value: number, offset: number): number {
  target.writeUInt32LE(value % TWO_TO_32, offset);
  target.writeUInt32LE(Math.floor(value / TWO_TO_32), offset + 4);
  return offset + 8;
}

/** Reads 8 bytes as a whole number. Throws `RangeError` beyond 2^53-1, or beyond the buffer. */
export function readU64(source: Buffer, offset: number): number {
  const value = source.readUInt32LE(offset) + source.readUInt32LE(offset + 4) * TWO_TO_32;
  if (!Number.isSafeInteger(value)) throw new RangeError(`the number at byte ${offset} is too large`);
  return value;
}

/** Bytes that {@link writeEntries} needs. */
export function entriesBytes(entries: readonly Entry[]): number {
  let bytes = entries.length * ENTRY_HEADER_BYTES;
  for (const entry of entries) bytes += entry.data.length;
  return bytes;
}

/** Writes `entries` at `offset` and returns the offset behind them. */
export function writeEntries(target: Buffer, entries: readonly Entry[], offset: number): number {
  let at = offset;
  for (const entry of entries) {
    writeU64(target, entry.term, at);
    target[at + 8] = KIND_BYTES[entry.kind];
    target.writeUInt32LE(entry.data.length, at + 9);
    target.set(entry.data, at + ENTRY_HEADER_BYTES);
    at += ENTRY_HEADER_BYTES + entry.data.length;
  }
  return at;
}

/** Reads `count` entries, the first of which has index `first`. Their data is copied out of `source`. Throws `RangeError` when the bytes make no sense. */
export function readEntries(source: Buffer, offset: number, first: number, count: number): { entries: Entry[]; end: number } {
  const entries: Entry[] = [];
  let at = offset;
  for (let i = 0; i < count; i++) {
    const term = readU64(source, at);
    const kind = KINDS[source.readUInt8(at + 8)];
    const length = source.readUInt32LE(at + 9);
    at += ENTRY_HEADER_BYTES;
    if (kind === undefined || at + length > source.length) throw new RangeError(`the entry at byte ${at} makes no sense`);
    entries.push({ index: first + i, term, kind, data: Buffer.from(source.subarray(at, at + length)) });
    at += length;
  }
  return { entries, end: at };
}
