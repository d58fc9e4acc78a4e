/**
 * Frames: how every belt protocol cuts a byte stream into messages. A frame is a 32-bit big-endian length of what follows, one byte of
 * format version, one byte of type, then the payload. What a type means is the protocol's own affair (`raft-codec.ts` for `belt-raft/1`,
 * the agent's calls for `belt/1` and `belt-join/1`); a receiver skips types it does not know, so that two releases can talk.
 */
import { BeltError } from '../../errors.ts';

/** The frame format this release writes. A frame of a higher version is refused: its header could mean anything. */
export const FRAME_VERSION = 1;

/** Bytes before the payload: length (4), version (1), type (1). */
export const FRAME_HEADER_BYTES = 6;

/** The largest payload each protocol accepts, bytes. A longer frame ends the connection before it is buffered. */
export const FRAME_LIMITS = {
  /** Raft: the largest batch of entries or chunk of a snapshot, with room for their headers. */
  raft: 8 * 1024 * 1024,
  /** Requests and answers of operators, workers and managers. */
  call: 4 * 1024 * 1024,
  /** A join: one CSR and one token. */
  join: 64 * 1024,
} as const;

/** One message. The payload may be a view into the connection's receive buffer: copy what outlives the handler's turn. */
export interface Frame {
  readonly type: number;
  readonly payload: Buffer;
}

/** Writes a frame's header into `target` at `offset`; the payload of `payloadBytes` bytes follows at `offset + FRAME_HEADER_BYTES`. */
export function writeFrameHeader(target: Buffer, offset: number, type: number, payloadBytes: number): void {
  target.writeUInt32BE(payloadBytes + 2, offset);
  target[offset + 4] = FRAME_VERSION;
  target[offset + 5] = type;
}

/** One frame as bytes, ready for the wire. `type` is 0 to 255; a string payload is written as UTF-8. */
export function encodeFrame(type: number, payload: Uint8Array | string): Buffer {
  const payloadBytes = typeof payload === 'string' ? Buffer.byteLength(payload) : payload.length;
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payloadBytes);
  writeFrameHeader(frame, 0, type, payloadBytes);
  if (typeof payload === 'string') frame.write(payload, FRAME_HEADER_BYTES);
  else frame.set(payload, FRAME_HEADER_BYTES);
  return frame;
}

/**
 * Cuts a stream of chunks back into frames. A frame that lies within one chunk is handed out as a view of it; only a frame that
 * straddles chunks is copied, once. Memory is bounded by one frame of the limit.
 */
export class FrameDecoder {
  readonly #limit: number;
  readonly #onFrame: (frame: Frame) => void;
  #header = Buffer.alloc(FRAME_HEADER_BYTES);
  #headerBytes = 0;
  /** The payload being gathered over several chunks, null between frames. */
  #payload: Buffer | null = null;
  #payloadBytes = 0;

  /** `limit`: the largest payload accepted, bytes (one of {@link FRAME_LIMITS}). `onFrame` is called within {@link push}, in order. */
  constructor(limit: number, onFrame: (frame: Frame) => void) {
    this.#limit = limit;
    this.#onFrame = onFrame;
  }

  /** Takes the next bytes of the stream. Throws `BeltError('bad_request')` when a frame is too long, too short or of a newer format; the connection must then be closed. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#payload !== null) at = this.#gather(chunk, at);
      else if (this.#headerBytes > 0 || chunk.length - at < FRAME_HEADER_BYTES) at = this.#gatherHeader(chunk, at);
      else at = this.#whole(chunk, at);
    }
  }

  /** A frame whose header lies within the chunk: hands it out as a view, or starts to gather it. */
  #whole(chunk: Buffer, at: number): number {
    const bytes = this.#payloadLength(chunk, at);
    const start = at + FRAME_HEADER_BYTES;
    if (chunk.length - start < bytes) {
      chunk.copy(this.#header, 0, at, start);
      this.#begin(bytes);
      return start;
    }
    this.#onFrame({ type: chunk[at + 5]!, payload: chunk.subarray(start, start + bytes) });
    return start + bytes;
  }

  #gatherHeader(chunk: Buffer, at: number): number {
    const copied = chunk.copy(this.#header, this.#headerBytes, at);
    this.#headerBytes += copied;
    if (this.#headerBytes === FRAME_HEADER_BYTES) this.#begin(this.#payloadLength(this.#header, 0));
    return at + copied;
  }

  #begin(bytes: number): void {
    this.#headerBytes = 0;
    this.#payloadBytes = 0;
    this.#payload = Buffer.allocUnsafe(bytes);
    if (bytes === 0) this.#finish();
  }

  #gather(chunk: Buffer, at: number): number {
    const copied = chunk.copy(this.#payload!, this.#payloadBytes, at);
    this.#payloadBytes += copied;
    if (this.#payloadBytes === this.#payload!.length) this.#finish();
    return at + copied;
  }

  #finish(): void {
    const payload = this.#payload!;
    this.#payload = null;
    this.#onFrame({ type: this.#header[5]!, payload });
  }

  #payloadLength(header: Buffer, at: number): number {
    const bytes = header.readUInt32BE(at) - 2;
    const version = header[at + 4]!;
    if (version !== FRAME_VERSION) throw new BeltError('bad_request', `a frame of format ${version} arrived, this release reads ${FRAME_VERSION}`);
    if (bytes < 0 || bytes > this.#limit) throw new BeltError('bad_request', `a frame of ${bytes} bytes arrived, ${this.#limit} are allowed`);
    return bytes;
  }
}
