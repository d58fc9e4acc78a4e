/**
 * What the benchmark's client and its members say to each other: one setting to write, its outcome. It stands for the agent's calls, which carry
 * JSON; the members, their disks and the connections between them are the agent's own.
 */
import { FRAME_HEADER_BYTES, writeFrameHeader } from '../../src/swarm-agent/transport/frames.ts';

export const FRAME = { put: 64, done: 65, status: 66, statusReply: 67 } as const;
export const OUTCOMES = ['acknowledged', 'refused', 'unknown'] as const;
export type WriteOutcome = (typeof OUTCOMES)[number];

export interface Put {
  readonly id: number;
  /** The request's name: repeated requests of one name are one. */
  readonly request: string;
  readonly key: string;
  readonly value: string;
}

/** What a member tells of itself. */
export interface MemberReport {
  readonly id: string;
  readonly role: string;
  readonly term: number;
  readonly applied: number;
  readonly commit: number;
  readonly logBytes: number;
  readonly state: ReportedState | null;
}

/** A member's state, for comparing it with the others' and with what was answered. */
export interface ReportedState {
  readonly index: number;
  readonly hash: string;
  /** How often the workers' token was rotated. */
  readonly rotations: number;
  readonly settings: Record<string, string>;
}

/** A put as a frame. */
export function encodePut({ id, request, key, value }: Put): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + 6 + request.length + key.length + value.length);
  let at = frame.writeUInt32LE(id, FRAME_HEADER_BYTES);
  at = frame.writeUInt8(request.length, at);
  at = frame.writeUInt8(key.length, at);
  at += frame.write(request, at, 'latin1');
  at += frame.write(key, at, 'latin1');
  at += frame.write(value, at, 'latin1');
  writeFrameHeader(frame, 0, FRAME.put, at - FRAME_HEADER_BYTES);
  return frame;
}

export function decodePut(b: Buffer): Put {
  const keyAt = 6 + b[4]!;
  const valueAt = keyAt + b[5]!;
  return { id: b.readUInt32LE(0), request: b.toString('latin1', 6, keyAt), key: b.toString('latin1', keyAt, valueAt), value: b.toString('latin1', valueAt, b.length) };
}

/** Outcomes as one buffer of frames. */
export function encodeDone(done: readonly { id: number; outcome: WriteOutcome }[]): Buffer {
  const size = FRAME_HEADER_BYTES + 5;
  const frames = Buffer.allocUnsafe(size * done.length);
  done.forEach(({ id, outcome }, i) => {
    writeFrameHeader(frames, i * size, FRAME.done, 5);
    frames.writeUInt32LE(id, i * size + FRAME_HEADER_BYTES);
    frames[i * size + FRAME_HEADER_BYTES + 4] = OUTCOMES.indexOf(outcome);
  });
  return frames;
}

export function decodeDone(b: Buffer): { id: number; outcome: WriteOutcome } {
  return { id: b.readUInt32LE(0), outcome: OUTCOMES[b[4]!]! };
}
