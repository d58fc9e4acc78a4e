import fc from '../../property.ts';
import { describe, expect, test } from 'vitest';
import { FRAME_HEADER_BYTES, FrameDecoder, encodeFrame, type Frame } from '../../../src/swarm-agent/transport/frames.ts';

/** The frames that come out when `bytes` arrive in chunks that end at `cuts`. */
function decode(bytes: Buffer, cuts: readonly number[], limit = 1_000): { type: number; payload: string }[] {
  const frames: { type: number; payload: string }[] = [];
  const decoder = new FrameDecoder(limit, ({ type, payload }: Frame) => frames.push({ type, payload: payload.toString('latin1') }));
  let start = 0;
  for (const cut of [...new Set(cuts)].filter((at) => at <= bytes.length).sort((a, b) => a - b)) {
    decoder.push(bytes.subarray(start, cut));
    start = cut;
  }
  decoder.push(bytes.subarray(start));
  return frames;
}

describe('frames', () => {
  test('come out as they went in, wherever the stream is cut', () => {
    const frame = fc.record({ type: fc.integer({ min: 0, max: 255 }), payload: fc.string({ maxLength: 60 }).map((text) => Buffer.from(text).toString('latin1')) });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.integer({ min: 0, max: 600 }), { maxLength: 40 }), (frames, cuts) => {
        const bytes = Buffer.concat(frames.map(({ type, payload }) => encodeFrame(type, Buffer.from(payload, 'latin1'))));
        expect(decode(bytes, cuts)).toEqual(frames);
      }),
    );
  });

  test('have the layout that is written down', () => {
    expect(encodeFrame(7, 'ab').toString('hex')).toBe('0000000401076162');
  });

  test.each([
    { name: 'longer than allowed', hex: 'ffffffff0107', message: /1000 are allowed/ },
    { name: 'just longer than allowed', hex: '000003eb0107', message: /1001 bytes/ },
    { name: 'shorter than their own header', hex: '000000010107', message: /-1 bytes/ },
    { name: 'of a newer format', hex: '000000040207', message: /format 2/ },
  ])('$name are refused before they are gathered', ({ hex, message }) => {
    for (let cut = 0; cut <= FRAME_HEADER_BYTES; cut++) expect(() => decode(Buffer.from(hex, 'hex'), [cut])).toThrow(message);
  });
});
