/**
 * Raft messages as frames of `belt-raft/1`: binary, because every write of the cluster passes here. Sender and receiver are not in the
 * frame: the receiver takes them from the connection, whose certificate it has checked, so no member can speak for another.
 *
 * To stay readable for the release before: a type is never given a second meaning, fields are only added at the end, what stands behind
 * the known fields is ignored, and a frame of an unknown type is skipped.
 */
import type { Append, Message, SnapshotChunk, SnapshotMeta } from '../raft/types.ts';
import { entriesBytes, readEntries, readU64, writeEntries, writeU64 } from '../log/entry-codec.ts';
import { FRAME_HEADER_BYTES, writeFrameHeader, type Frame } from './frames.ts';

/** Frame types of `belt-raft/1`. 1 to 31 are Raft's. */
const TYPES: Readonly<Record<Message['type'], number>> = {
  'pre-vote': 1, 'pre-vote-reply': 2, vote: 3, 'vote-reply': 4, append: 5, 'append-reply': 6,
  heartbeat: 7, 'heartbeat-reply': 8, snapshot: 9, 'snapshot-reply': 10, 'timeout-now': 11,
};
/** The first frame of a connection: who speaks, to whom, in which group. */
export const HELLO_FRAME = 32;
/** The receiver's reason for hanging up, as text. */
export const REFUSED_FRAME = 33;
/** "Are you there?", and the answer on the same connection. */
export const PING_FRAME = 34;
export const PONG_FRAME = 35;
/** The receiver's own group, as text, before it hangs up: one of an older epoch learns that it was left behind. */
export const GROUP_FRAME = 36;

const TERM = 8;
const FIXED: Readonly<Record<Message['type'], number>> = {
  'pre-vote': 24, 'pre-vote-reply': 17, vote: 17, 'vote-reply': 1, append: 28, 'append-reply': 25,
  heartbeat: 32, 'heartbeat-reply': 16, snapshot: 17, 'snapshot-reply': 17, 'timeout-now': 0,
};

/** Whether a message carries much: it then gives way to the others when a connection is slow. */
export function isBulk(message: Message): boolean {
  return message.type === 'append' || message.type === 'snapshot';
}

/** `messages` as frames, one after another in one buffer, so that they leave in one write. */
export function encodeMessages(messages: readonly Message[]): Buffer {
  const metas: Buffer[] = [];
  let bytes = 0;
  for (const message of messages) bytes += FRAME_HEADER_BYTES + TERM + FIXED[message.type] + variableBytes(message, metas);
  const frames = Buffer.allocUnsafe(bytes);
  let at = 0;
  let meta = 0;
  for (const message of messages) {
    const end = writeMessage(frames, message, at + FRAME_HEADER_BYTES, message.type === 'snapshot' ? metas[meta++]! : null);
    writeFrameHeader(frames, at, TYPES[message.type], end - at - FRAME_HEADER_BYTES);
    at = end;
  }
  return frames;
}

function variableBytes(message: Message, metas: Buffer[]): number {
  if (message.type === 'append') return entriesBytes(message.entries);
  if (message.type === 'snapshot') {
    const meta = Buffer.from(JSON.stringify(message.meta));
    metas.push(meta);
    return meta.length + message.data.length;
  }
  return message.type === 'snapshot-reply' ? 2 + Buffer.byteLength(message.digest) : 0;
}

function writeMessage(b: Buffer, m: Message, offset: number, meta: Buffer | null): number {
  const at = writeU64(b, m.term, offset);
  switch (m.type) {
    case 'pre-vote': return b.writeDoubleLE(m.sentAt, writeU64(b, m.lastTerm, writeU64(b, m.lastIndex, at)));
    case 'pre-vote-reply': return b.writeDoubleLE(m.sentAt, writeU64(b, m.asked, b.writeUInt8(Number(m.granted), at)));
    case 'vote': return b.writeUInt8(Number(m.transfer), writeU64(b, m.lastTerm, writeU64(b, m.lastIndex, at)));
    case 'vote-reply': return b.writeUInt8(Number(m.granted), at);
    case 'append': return writeAppend(b, m, at);
    case 'append-reply':
      return writeU64(b, m.conflictIndex, writeU64(b, m.conflictTerm, writeU64(b, m.index, b.writeUInt8(Number(m.ok), at))));
    case 'heartbeat': return b.writeDoubleLE(m.electionMs, b.writeDoubleLE(m.sentAt, writeU64(b, m.round, writeU64(b, m.commit, at))));
    case 'heartbeat-reply': return b.writeDoubleLE(m.sentAt, writeU64(b, m.round, at));
    case 'snapshot': return writeSnapshot(b, m, at, meta!);
    case 'snapshot-reply': {
      const fixed = writeU64(b, m.index, b.writeUInt8(Number(m.done), writeU64(b, m.next, at)));
      const length = b.write(m.digest, fixed + 2);
      return b.writeUInt16LE(length, fixed) + length;
    }
    case 'timeout-now': return at;
  }
}

function writeAppend(b: Buffer, m: Append, at: number): number {
  const fixed = writeU64(b, m.commit, writeU64(b, m.prevTerm, writeU64(b, m.prevIndex, at)));
  return writeEntries(b, m.entries, b.writeUInt32LE(m.entries.length, fixed));
}

function writeSnapshot(b: Buffer, m: SnapshotChunk, at: number, meta: Buffer): number {
  const fixed = b.writeUInt32LE(m.data.length, b.writeUInt32LE(meta.length, b.writeUInt8(Number(m.last), writeU64(b, m.offset, at))));
  b.set(meta, fixed);
  b.set(m.data, fixed + meta.length);
  return fixed + meta.length + m.data.length;
}

/** The message in a frame that came from member `from` to member `to`, or null for a type this release does not know. Throws `RangeError` when the payload makes no sense. Nothing of the frame's buffer is kept. */
export function decodeMessage({ type, payload: b }: Frame, from: string, to: string): Message | null {
  if (type < 1 || type > 11) return null;
  const header = { from, to, term: readU64(b, 0) };
  const at = TERM;
  switch (type) {
    case TYPES['pre-vote']: return { type: 'pre-vote', ...header, lastIndex: readU64(b, at), lastTerm: readU64(b, at + 8), sentAt: b.readDoubleLE(at + 16) };
    case TYPES['pre-vote-reply']: return { type: 'pre-vote-reply', ...header, granted: flag(b, at), asked: readU64(b, at + 1), sentAt: b.readDoubleLE(at + 9) };
    case TYPES.vote: return { type: 'vote', ...header, lastIndex: readU64(b, at), lastTerm: readU64(b, at + 8), transfer: flag(b, at + 16) };
    case TYPES['vote-reply']: return { type: 'vote-reply', ...header, granted: flag(b, at) };
    case TYPES.append: {
      const prevIndex = readU64(b, at);
      const { entries } = readEntries(b, at + 28, prevIndex + 1, b.readUInt32LE(at + 24));
      return { type: 'append', ...header, prevIndex, prevTerm: readU64(b, at + 8), entries, commit: readU64(b, at + 16) };
    }
    case TYPES['append-reply']:
      return { type: 'append-reply', ...header, ok: flag(b, at), index: readU64(b, at + 1), conflictTerm: readU64(b, at + 9), conflictIndex: readU64(b, at + 17) };
    case TYPES.heartbeat:
      return { type: 'heartbeat', ...header, commit: readU64(b, at), round: readU64(b, at + 8), sentAt: b.readDoubleLE(at + 16), electionMs: b.readDoubleLE(at + 24) };
    case TYPES['heartbeat-reply']: return { type: 'heartbeat-reply', ...header, round: readU64(b, at), sentAt: b.readDoubleLE(at + 8) };
    case TYPES.snapshot: return readSnapshot(b, header);
    case TYPES['snapshot-reply']:
      return { type: 'snapshot-reply', ...header, digest: slice(b, at + 19, b.readUInt16LE(at + 17)).toString(), next: readU64(b, at), done: flag(b, at + 8), index: readU64(b, at + 9) };
    default: return { type: 'timeout-now', ...header };
  }
}

function readSnapshot(b: Buffer, header: { from: string; to: string; term: number }): SnapshotChunk {
  const metaBytes = b.readUInt32LE(TERM + 9);
  const start = TERM + 17;
  const meta = JSON.parse(slice(b, start, metaBytes).toString()) as SnapshotMeta;
  const data = Buffer.from(slice(b, start + metaBytes, b.readUInt32LE(TERM + 13)));
  return { type: 'snapshot', ...header, meta, offset: readU64(b, TERM), data, last: flag(b, TERM + 8) };
}

function flag(b: Buffer, at: number): boolean {
  return b.readUInt8(at) !== 0;
}

function slice(b: Buffer, at: number, length: number): Buffer {
  if (at + length > b.length) throw new RangeError(`${length} bytes are missing at byte ${at}`);
  return b.subarray(at, at + length);
}
