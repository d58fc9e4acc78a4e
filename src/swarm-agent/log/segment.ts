/** A segment: one file of the log. A header of 64 bytes, then records, then zeros: the file is filled with zeros before it is used, because a sync that need not grow the file takes half the time. */
import { crc32 } from 'node:zlib';
import { readU64, writeU64 } from './entry-codec.ts';

/** Where the first record stands. */
export const SEGMENT_HEADER_BYTES = 64;
const MAGIC = Buffer.from('BELTLOG1');
const PREFIX = 'log-';

/** What the header tells. Numbers and sequences have no gaps from segment to segment. */
export interface SegmentHeader {
  /** Counts the segments of this log, from 1. */
  readonly number: number;
  /** The sequence number of the first record. */
  readonly firstSequence: number;
}

/** The file of segment `number`; the names sort as the numbers do. */
export function segmentName(number: number): string {
  return PREFIX + number.toString(16).padStart(14, '0');
}

/** The number in a segment's file name, null for other files. */
export function segmentNumber(name: string): number | null {
  return /^log-[0-9a-f]{14}$/.test(name) ? Number.parseInt(name.slice(PREFIX.length), 16) : null;
}

/** The header as bytes. */
export function encodeSegmentHeader({ number, firstSequence }: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  MAGIC.copy(bytes);
  writeU64(bytes, number, 8);
  writeU64(bytes, firstSequence, 16);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 24)), 24);
  return bytes;
}

/** The header of a segment's bytes, null when it is damaged. */
export function decodeSegmentHeader(bytes: Buffer): SegmentHeader | null {
  if (bytes.length < SEGMENT_HEADER_BYTES || !bytes.subarray(0, 8).equals(MAGIC) || bytes.readUInt32LE(24) !== crc32(bytes.subarray(0, 24))) return null;
  return { number: readU64(bytes, 8), firstSequence: readU64(bytes, 16) };
}
