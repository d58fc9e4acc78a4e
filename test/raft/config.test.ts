import { describe, expect, test } from 'vitest';
import { CONFIG_RANGES, checkConfig } from '../../src/swarm-agent/raft/config.ts';
import type { Entry } from '../../src/swarm-agent/raft/types.ts';
import { FRAME_LIMITS } from '../../src/swarm-agent/transport/frames.ts';
import { encodeMessages } from '../../src/swarm-agent/transport/raft-codec.ts';

test('every default is within its range and agrees with the others', () => {
  const config = checkConfig();
  for (const [key, { value }] of Object.entries(CONFIG_RANGES)) expect(config).toHaveProperty(key, value);
});

describe('mistakes are all named at once', () => {
  test.each([
    [{ electionMsMin: 19 }, /electionMsMin is 19, want a whole number from 20/],
    [{ heartbeatMsMin: 100 }, /electionMsMin is below twice heartbeatMsMin/],
    [{ heartbeatMsMax: 5_000 }, /electionMsMax is below twice heartbeatMsMax/],
    [{ electionMsMin: 9_000 }, /electionMsMin is above electionMsMax/],
    [{ trailingEntries: 1.5, readsMax: 0 }, /readsMax is 0.*trailingEntries is 1.5|trailingEntries is 1.5.*readsMax is 0/],
    [{ trailingEntires: 1 } as object, /trailingEntires is not a setting/],
  ])('%j', (given, message) => expect(() => checkConfig(given)).toThrow(message));
});

test('whatever may be set, a message fits into a frame: one that does not would be refused for ever', () => {
  const { entryBytesMax, appendBytesMax, snapshotChunkBytes } = CONFIG_RANGES;
  const header = { from: 'a', to: 'b', term: 1 } as const;
  const entries = (count: number, bytes: number): Entry[] => Array.from({ length: count }, (_, at) => ({ index: at + 1, term: 1, kind: 'command', data: new Uint8Array(bytes) }));
  const append = (carried: Entry[]): number => encodeMessages([{ type: 'append', ...header, prevIndex: 0, prevTerm: 0, commit: 0, entries: carried }]).length;
  // A command is never shorter than its envelope.
  expect(append(entries(appendBytesMax.max / 32, 32))).toBeLessThan(FRAME_LIMITS.raft);
  // What is read back from the disk is two entries at least: the first is there for its term.
  expect(append(entries(2, entryBytesMax.max))).toBeLessThan(FRAME_LIMITS.raft);
  const meta = { index: 1, term: 1, size: 1, digest: 'd'.repeat(64), membership: { members: Array.from({ length: 64 }, (_, at) => ({ id: String(at).repeat(32), voter: true, address: 'x'.repeat(256) })) } };
  const chunk = { type: 'snapshot', ...header, meta, offset: 0, data: new Uint8Array(snapshotChunkBytes.max), last: false } as const;
  expect(encodeMessages([chunk]).length).toBeLessThan(FRAME_LIMITS.raft);
});
