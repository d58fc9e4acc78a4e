import { describe, expect, it } from 'vitest';
import { FaultPlan } from './fault-plan.ts';
import { Bucket, SlidingWindow } from './limits.ts';

function handClock(): { now: number; clock: () => number } {
  const hand = { now: 0, clock: () => hand.now };
  return hand;
}

describe('Bucket', () => {
  it('gives what it holds, then what comes back with time', () => {
    const hand = handClock();
    const bucket = new Bucket(5, 2, hand.clock);
    expect([1, 2, 3, 4, 5, 6].map(() => bucket.take())).toEqual([true, true, true, true, true, false]);
    expect(bucket.secondsUntil()).toBeCloseTo(0.5);
    hand.now = 499;
    expect(bucket.take()).toBe(false);
    hand.now = 500;
    expect(bucket.take()).toBe(true);
  });

  it('never holds more than its capacity', () => {
    const hand = handClock();
    const bucket = new Bucket(5, 2, hand.clock);
    hand.now = 1_000_000;
    expect(bucket.tokens).toBe(5);
    expect(bucket.take(6)).toBe(false);
  });
});

describe('SlidingWindow', () => {
  it('lets each call leave the window on its own', () => {
    const hand = handClock();
    const window = new SlidingWindow(2, 1000, hand.clock);
    expect(window.take()).toBe(true);
    hand.now = 600;
    expect(window.take()).toBe(true);
    expect(window.take()).toBe(false);
    expect(window.resetAt()).toBe(1000);
    hand.now = 1000;
    expect(window.remaining()).toBe(1);
    expect(window.take()).toBe(true);
    expect(window.take()).toBe(false);
  });
});

describe('FaultPlan', () => {
  const call = (name: string): { method: string; path: string; name: string } => ({ method: 'GET', path: '/', name });

  it('shows a fault to the calls it names, as often as it says, after as many as it says', () => {
    const plan = new FaultPlan();
    plan.add({ kind: 'refused', on: 'list', times: 2, after: 1 });
    expect(['list', 'make', 'list', 'list', 'list'].map((n) => plan.take(call(n))?.kind)).toEqual([undefined, undefined, 'refused', 'refused', undefined]);
  });

  it('goes on to the next fault when the first is used up', () => {
    const plan = new FaultPlan();
    plan.add({ kind: 'refused' });
    plan.add({ kind: 'garbage' });
    expect([plan.take(call('a'))?.kind, plan.take(call('a'))?.kind, plan.take(call('a'))?.kind]).toEqual(['refused', 'garbage', undefined]);
  });
});
