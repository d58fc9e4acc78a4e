import fc from '../../property.ts';
import { expect, test } from 'vitest';
import type { Message } from '../../../src/swarm-agent/raft/types.ts';
import { FRAME_LIMITS, FrameDecoder, encodeFrame } from '../../../src/swarm-agent/transport/frames.ts';
import { decodeMessage, encodeMessages } from '../../../src/swarm-agent/transport/raft-codec.ts';

const number = fc.oneof(fc.nat(1_000), fc.maxSafeNat());
const time = fc.double({ min: 0, max: 1e12, noNaN: true });
const data = fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes));
const header = { from: fc.constant('a'), to: fc.constant('b'), term: number };
const entries = fc.tuple(fc.nat(1e9), fc.array(fc.record({ term: number, kind: fc.constantFrom('command', 'noop', 'membership'), data }), { maxLength: 6 }));
const meta = fc.record({ index: number, term: number, size: number, digest: fc.string(), membership: fc.constant({ members: [{ id: 'a', voter: true, address: 'ä:1' }] }) });

const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ type: fc.constant('pre-vote' as const), ...header, lastIndex: number, lastTerm: number, sentAt: time }),
  fc.record({ type: fc.constant('pre-vote-reply' as const), ...header, granted: fc.boolean(), asked: number, sentAt: time }),
  fc.record({ type: fc.constant('vote' as const), ...header, lastIndex: number, lastTerm: number, transfer: fc.boolean() }),
  fc.record({ type: fc.constant('vote-reply' as const), ...header, granted: fc.boolean() }),
  fc.record({ type: fc.constant('append' as const), ...header, at: entries, prevTerm: number, commit: number }).map(({ at: [prevIndex, list], ...rest }) => ({
    ...rest, prevIndex, entries: list.map((entry, i) => ({ ...entry, index: prevIndex + 1 + i })),
  })),
  fc.record({ type: fc.constant('append-reply' as const), ...header, ok: fc.boolean(), index: number, conflictTerm: number, conflictIndex: number }),
  fc.record({ type: fc.constant('heartbeat' as const), ...header, commit: number, round: number, sentAt: time, electionMs: time }),
  fc.record({ type: fc.constant('heartbeat-reply' as const), ...header, round: number, sentAt: time }),
  fc.record({ type: fc.constant('snapshot' as const), ...header, meta, offset: number, data, last: fc.boolean() }),
  fc.record({ type: fc.constant('snapshot-reply' as const), ...header, digest: fc.string(), next: number, done: fc.boolean(), index: number }),
  fc.record({ type: fc.constant('timeout-now' as const), ...header }),
) as fc.Arbitrary<Message>;

function decodeAll(bytes: Buffer): (Message | null)[] {
  const messages: (Message | null)[] = [];
  new FrameDecoder(FRAME_LIMITS.raft, (frame) => messages.push(decodeMessage(frame, 'a', 'b'))).push(bytes);
  return messages;
}

test('every message comes out as it went in, in order', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 5 }), (messages) => {
      expect(decodeAll(encodeMessages(messages))).toEqual(messages);
    }),
    { numRuns: 400 },
  );
});

test('what stands behind the known fields, and types not known, are passed over: the other side may be of a newer release', () => {
  fc.assert(
    fc.property(message.filter(({ type }) => type !== 'snapshot'), data, (one, more) => {
      const frame = encodeMessages([one]);
      const longer = encodeFrame(frame[5]!, Buffer.concat([frame.subarray(6), more]));
      expect(decodeAll(Buffer.concat([encodeFrame(31, more), longer]))).toEqual([null, one]);
    }),
  );
});

test('a payload cut short never becomes a message', () => {
  fc.assert(
    fc.property(message, fc.nat(), (one, at) => {
      const frame = encodeMessages([one]);
      const payload = frame.subarray(6, 6 + (at % (frame.length - 6)));
      expect(() => decodeAll(encodeFrame(frame[5]!, payload))).toThrow();
    }),
  );
});
