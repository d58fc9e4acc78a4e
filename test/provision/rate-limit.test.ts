import { describe, expect, it } from 'vitest';
import { BeltError } from '../../src/errors.ts';
import { belowLimits, block, fullBucket, learn, leastTimeMs, RateLimiter, refill, take, type Pace } from '../../src/provision/rate-limit.ts';
import { nextWaitMs, withRetry, type RetryPolicy } from '../../src/provision/retry.ts';

const limit = { capacity: 5, perSecond: 2 };

/** A clock that jumps to the end of each sleep: hours of limits in a moment. */
function virtualPace(): Pace & { at: number } {
  const pace = {
    at: 0,
    now: () => pace.at,
    sleep: async (ms: number, signal: AbortSignal) => {
      if (signal.aborted) throw new BeltError('interrupted', 'interrupted');
      pace.at += ms;
    },
  };
  return pace;
}
const never = new AbortController().signal;

describe('buckets below a cloud’s own', () => {
  it.each([
    ['a tenth of a burst that is back soon is left', [100, 20], 1, 90],
    ['ten seconds’ worth of one that takes minutes', [1000, 2], 1, 980],
    ['more of it where the refill is faster', [1000, 2], 20, 900],
    ['one token at least can be taken', [1, 5], 1, 1],
  ] as const)('%s', (_name, own, scale, capacity) => {
    expect(belowLimits({ own }, scale).own).toEqual({ capacity, perSecond: own[1] * scale * 0.97 });
  });
});

describe('a bucket', () => {
  it('gives its capacity at once, then waits for the refill', () => {
    let state = fullBucket(limit, 0);
    for (let n = 0; n < 5; n += 1) state = take(limit, state, 1, 0).state;
    expect(take(limit, state, 1, 0).waitMs).toBe(500);
    expect(take(limit, state, 3, 0).waitMs).toBe(1500);
    expect(take(limit, state, 1, 500).waitMs).toBe(0);
  });

  it.each([
    ['a clock gone backwards gives nothing', () => refill(limit, { tokens: 1, atMs: 1000, blockedUntilMs: 0 }, 0).tokens, 1],
    ['never more than the capacity', () => refill(limit, { tokens: 1, atMs: 0, blockedUntilMs: 0 }, 1e9).tokens, 5],
    ['a header takes tokens away', () => learn({ tokens: 4, atMs: 0, blockedUntilMs: 0 }, 1).tokens, 1],
    ['a header never adds any', () => learn({ tokens: 4, atMs: 0, blockedUntilMs: 0 }, 100).tokens, 4],
    ['a refusal closes it for as long as the cloud says', () => take(limit, block(fullBucket(limit, 0), 7000, 0), 1, 0).waitMs, 7000],
    ['more than it can ever hold waits for a full one', () => take(limit, { tokens: 0, atMs: 0, blockedUntilMs: 0 }, 50, 0).waitMs, 2500],
  ])('%s', (_name, act, expected) => {
    expect(act()).toBe(expected);
  });

  it('is paid back when a call costs more than it holds', () => {
    const { state } = take(limit, fullBucket(limit, 0), 9, 0);
    expect(state.tokens).toBe(-4);
    expect(take(limit, state, 1, 0).waitMs).toBe(2500);
  });
});

describe('RateLimiter', () => {
  it('lets 500 calls through at the rate the cloud allows, in order', async () => {
    const pace = virtualPace();
    const limiter = new RateLimiter({ write: { capacity: 250, perSecond: 250 / 60 } }, pace);
    const order: number[] = [];
    await Promise.all(Array.from({ length: 500 }, (_, n) => limiter.acquire('write', 1, never).then(() => order.push(n))));
    expect(order).toEqual(Array.from({ length: 500 }, (_, n) => n));
    expect(pace.at).toBeGreaterThanOrEqual(leastTimeMs({ capacity: 250, perSecond: 250 / 60 }, 500));
    expect(pace.at).toBeLessThan(60_000 * 1.02);
  });

  it('ends the waiting when the signal fires, and serves those behind', async () => {
    const limiter = new RateLimiter({ write: { capacity: 1, perSecond: 1 } }, virtualPace());
    await limiter.acquire('write', 1, never);
    await expect(limiter.acquire('write', 1, AbortSignal.abort())).rejects.toMatchObject({ code: 'interrupted' });
    await limiter.acquire('write', 1, never);
  });

  it('does not limit what has no bucket', async () => {
    await new RateLimiter({}, virtualPace()).acquire('anything', 1000, never);
  });
});

describe('retry', () => {
  const policy: RetryPolicy = { attempts: 4, baseMs: 100, capMs: 1000, budgetMs: 10_000, downMs: 1_000 };
  const throttled = new BeltError('driver_throttled', 'slow down');

  it.each([
    ['the first wait is half its bound at least', throttled, 1, 0, 0, 50],
    ['and its bound at most', throttled, 1, 0, 0.999, 100],
    ['it doubles', throttled, 3, 0, 0.999, 400],
    ['what the cloud asks for is kept', new BeltError('driver_throttled', '', { retryAfterMs: 5000 }), 1, 0, 0, 5000],
    ['with up to a tenth more', new BeltError('driver_throttled', '', { retryAfterMs: 5000 }), 1, 0, 0.999, 5500],
    ['the attempts end', throttled, 4, 0, 0, null],
    ['the budget ends', new BeltError('driver_throttled', '', { retryAfterMs: 5000 }), 2, 5001, 0, null],
    ['a cloud that is down is waited for less long', new BeltError('driver_unavailable', ''), 2, 950, 0, null],
    ['bad input is not sent again', new BeltError('driver', 'no such size'), 1, 0, 0, null],
  ])('%s', (_name, error, attempt, spent, chance, expected) => {
    expect(nextWaitMs(policy, error, attempt, spent, chance)).toBe(expected);
  });

  it('comes through a storm and says each wait', async () => {
    const waits: number[] = [];
    const pace = virtualPace();
    const result = await withRetry(async (attempt) => (attempt < 4 ? Promise.reject(throttled) : attempt), never, { pace, policy, random: () => 0, onRetry: (_e, ms) => waits.push(ms) });
    expect([result, waits, pace.at]).toEqual([4, [50, 100, 200], 350]);
  });
});
