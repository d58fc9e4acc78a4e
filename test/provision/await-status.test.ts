import { describe, expect, it } from 'vitest';

import { awaitStatus } from '../../src/provision/await-status.ts';
import { MemoryCloud, memoryDriver } from './memory-driver.ts';

/** A clock that jumps. */
function pace() {
  let nowMs = 0;
  return { now: () => nowMs, sleep: (ms: number) => ((nowMs += ms), Promise.resolve()) };
}
const tag = { cluster: 'default', clusterId: 'c' };
const signal = new AbortController().signal;

describe('waiting for machines', () => {
  it('asks for one list a poll, however many they are', async () => {
    const cloud = new MemoryCloud();
    cloud.bootsSlowly = true;
    const names = Array.from({ length: 5000 }, (_, at) => cloud.add({ name: `n${at}`, clusterId: 'c' }).name);
    const outcomes = await awaitStatus({ driver: memoryDriver(cloud), tag, names, wanted: 'active', timeoutMs: 600_000, signal, pace: pace() });
    expect(outcomes.every((outcome) => outcome.ok)).toBe(true);
    expect(cloud.calls).toEqual(['list', 'list']);
  });

  it('goes on when a list fails, gives up on an error status, and says who is late', async () => {
    const cloud = new MemoryCloud();
    cloud.failingLists = 2;
    cloud.add({ name: 'good', clusterId: 'c' });
    cloud.add({ name: 'broken', clusterId: 'c', status: 'error' });
    const outcomes = await awaitStatus({ driver: memoryDriver(cloud), tag, names: ['good', 'broken', 'absent'], wanted: 'active', timeoutMs: 10_000, signal, pace: pace() });
    expect(outcomes.map((outcome) => (outcome.ok ? 'ok' : outcome.error.code))).toEqual(['ok', 'driver', 'timeout']);
  });
});
