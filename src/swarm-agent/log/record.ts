/**
 * The log's unit of writing: one record for everything that one sync makes durable (a group commit). Pure: bytes in, values out.
 *
 *     0  magic "BREC"     4  bytes of the body     8  sequence number (u64)     16  CRC-32 of bytes 0 to 15     20  CRC-32 of the body
 *    24  body: items      then the end mark "CERB" and zeros up to a multiple of 8
 *
 * The header has a checksum of its own, so that a damaged length is not taken for a record whose end was never written.
 *
 * A record is written only after the one before it was synced. So a damaged record with a valid one after it was durable once and has been
 * damaged since, while a damaged last one may be a write that a crash tore: {@link tornOrRotten} tells the two apart.
 */
import { crc32 } from 'node:zlib';
import type { Entry, LogIndex, Persist, Term, Vote } from '../raft/types.ts';
import { entriesBytes, readEntries, readU64, writeEntries, writeU64 } from './entry-codec.ts';

const MAGIC = 0x43455242; // "BREC", little-endian
const END_MARK = 0x42524543; // "CERB", little-endian
const HEADER_BYTES = 24;
const END_BYTES = 4;
/** What a disk writes whole or not at all. */
const SECTOR_BYTES = 512;
const ZEROS = Buffer.alloc(64 * 1024);
const ITEM = { vote: 1, reset: 2, entries: 3 } as const;

/** What a record holds: writes of the core, in order. */
export type LogItem = Pick<Persist, 'vote' | 'reset' | 'entries'>;

/** One record read back. */
export interface LogRecord {
  readonly sequence: number;
  readonly items: readonly LogItem[];
  /** Bytes it takes in the file, padding included. */
  readonly bytes: number;
}

function itemBytes({ vote, reset, entries }: LogItem): number {
  const voteBytes = vote === null ? 0 : 1 + 8 + 2 + Buffer.byteLength(vote.votedFor ?? '');
  return voteBytes + (reset === null ? 0 : 1 + 16) + (entries.length === 0 ? 0 : 1 + 8 + 4 + entriesBytes(entries));
}

function aligned(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** Bytes a record of `items` takes in a file. */
export function recordBytes(items: readonly LogItem[]): number {
  let body = 0;
  for (const item of items) body += itemBytes(item);
  return aligned(HEADER_BYTES + body + END_BYTES);
}

/** Writes a record at the start of `target`, which has at least {@link recordBytes} bytes, and returns those bytes as a view. */
export function writeRecord(target: Buffer, sequence: number, items: readonly LogItem[]): Buffer {
  let at = HEADER_BYTES;
  for (const item of items) at = writeItem(target, item, at);
  target.writeUInt32LE(MAGIC, 0);
  target.writeUInt32LE(at - HEADER_BYTES, 4);
  writeU64(target, sequence, 8);
  target.writeUInt32LE(crc32(target.subarray(0, 16)), 16);
  target.writeUInt32LE(crc32(target.subarray(HEADER_BYTES, at)), 20);
  target.writeUInt32LE(END_MARK, at);
  const end = aligned(at + END_BYTES);
  target.fill(0, at + END_BYTES, end);
  return target.subarray(0, end);
}

function writeItem(target: Buffer, { vote, reset, entries }: LogItem, offset: number): number {
  let at = offset;
  if (vote !== null) {
    target[at] = ITEM.vote;
    at = writeU64(target, vote.term, at + 1);
    // 0xffff: no vote. A member id is never as long.
    const length = vote.votedFor === null ? 0xffff : target.write(vote.votedFor, at + 2);
    target.writeUInt16LE(length, at);
    at += 2 + (length === 0xffff ? 0 : length);
  }
  if (reset !== null) {
    target[at] = ITEM.reset;
    at = writeU64(target, reset.term, writeU64(target, reset.index, at + 1));
  }
  if (entries.length > 0) {
    target[at] = ITEM.entries;
    at = writeU64(target, entries[0]!.index, at + 1);
    at = writeEntries(target, entries, target.writeUInt32LE(entries.length, at));
  }
  return at;
}

function isHeader(bytes: Buffer, offset: number): boolean {
  if (offset + HEADER_BYTES + END_BYTES > bytes.length || bytes.readUInt32LE(offset) !== MAGIC) return false;
  return crc32(bytes.subarray(offset, offset + 16)) === bytes.readUInt32LE(offset + 16);
}

/** The record at `offset`, or null when there is none with a right checksum. Its data is copied out of `bytes`. */
export function readRecord(bytes: Buffer, offset: number): LogRecord | null {
  if (!isHeader(bytes, offset)) return null;
  const end = offset + HEADER_BYTES + bytes.readUInt32LE(offset + 4);
  if (end + END_BYTES > bytes.length || bytes.readUInt32LE(end) !== END_MARK) return null;
  if (crc32(bytes.subarray(offset + HEADER_BYTES, end)) !== bytes.readUInt32LE(offset + 20)) return null;
  const items: LogItem[] = [];
  for (let at = offset + HEADER_BYTES; at < end; ) at = readItem(bytes, at, items);
  return { sequence: readU64(bytes, offset + 8), items, bytes: aligned(end + END_BYTES) - offset };
}

function readItem(bytes: Buffer, offset: number, items: LogItem[]): number {
  let at = offset + 1;
  let vote: Vote | null = null;
  let reset: { index: LogIndex; term: Term } | null = null;
  let entries: Entry[] = [];
  const kind = bytes[offset];
  if (kind === ITEM.vote) {
    const length = bytes.readUInt16LE(at + 8);
    const votedFor = length === 0xffff ? null : bytes.toString('utf8', at + 10, at + 10 + length);
    vote = { term: readU64(bytes, at), votedFor };
    at += 10 + (votedFor === null ? 0 : length);
  } else if (kind === ITEM.reset) {
    reset = { index: readU64(bytes, at), term: readU64(bytes, at + 8) };
    at += 16;
  } else if (kind === ITEM.entries) {
    const read = readEntries(bytes, at + 12, readU64(bytes, at), bytes.readUInt32LE(at + 8));
    entries = read.entries;
    at = read.end;
  } else throw new RangeError(`the item at byte ${offset} is of a kind this release does not know: ${kind}`);
  items.push({ vote, reset, entries });
  return at;
}

/** The offset of the first valid record after `offset` whose sequence number is at least `sequence`; null when there is none. */
export function findRecord(bytes: Buffer, offset: number, sequence: number): number | null {
  const magic = Buffer.alloc(4);
  magic.writeUInt32LE(MAGIC);
  for (let at = bytes.indexOf(magic, offset); at !== -1; at = bytes.indexOf(magic, at + 1)) {
    const record = at % 8 === 0 ? readRecord(bytes, at) : null;
    if (record !== null && record.sequence >= sequence) return at;
  }
  return null;
}

/** The offset behind the last byte of `bytes`, from `offset` on, that is not zero; `offset` when all are. */
export function endOfData(bytes: Buffer, offset: number): number {
  let end = bytes.length;
  while (end > offset) {
    const start = Math.max(offset, end - ZEROS.length);
    if (bytes.compare(ZEROS, 0, end - start, start, end) !== 0) break;
    end = start;
  }
  while (end > offset && bytes[end - 1] === 0) end--;
  return end;
}

/**
 * What the damaged last record at `offset` is. `torn`: a write cut short by a crash, never acknowledged. Files are filled with zeros before
 * they are used, so a torn write shows as a sector (or the record's end) that is still zero. `rotten`: all of it was written and something
 * changed it since; it may have been acknowledged, and cutting it off could lose it.
 */
export function tornOrRotten(bytes: Buffer, offset: number): 'torn' | 'rotten' {
  // The file ends, or nothing but zeros follows, within the header: a write that hardly began.
  if (endOfData(bytes, offset) - offset < HEADER_BYTES) return 'torn';
  if (!isHeader(bytes, offset)) return hasEmptySector(bytes, offset, offset + HEADER_BYTES) ? 'torn' : 'rotten';
  const end = offset + HEADER_BYTES + bytes.readUInt32LE(offset + 4) + END_BYTES;
  if (end > bytes.length || bytes[end - 1] === 0) return 'torn';
  return hasEmptySector(bytes, offset, end) ? 'torn' : 'rotten';
}

/** Whether one of the sectors, as far as it lies between `start` and `end`, is all zeros. */
function hasEmptySector(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; ) {
    const next = Math.min(end, at - (at % SECTOR_BYTES) + SECTOR_BYTES);
    if (endOfData(bytes.subarray(0, next), at) === at) return true;
    at = next;
  }
  return false;
}
