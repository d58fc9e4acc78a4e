/**
 * Token buckets for a cloud's API: one per account, region and API class. The decision is pure (`refill`, `take`, `learn`: state and time
 * in, state and wait out); {@link RateLimiter} is the thin part that sleeps. Waiters are served in the order they came, so a long queue
 * of calls leaves at exactly the rate the cloud allows.
 */
import { BeltError } from '../errors.ts';

/** A bucket's shape: at most `capacity` tokens, `perSecond` come back. */
export interface Limit {
  readonly capacity: number;
  readonly perSecond: number;
}

/** A bucket at a moment. `blockedUntilMs`: the cloud said to wait until then, whatever the count says. */
export interface BucketState {
  readonly tokens: number;
  readonly atMs: number;
  readonly blockedUntilMs: number;
}

export function fullBucket(limit: Limit, nowMs: number): BucketState {
  return { tokens: limit.capacity, atMs: nowMs, blockedUntilMs: 0 };
}

/** The bucket as it is at `nowMs`; a clock that goes backwards gives nothing and takes nothing. */
export function refill(limit: Limit, state: BucketState, nowMs: number): BucketState {
  const elapsedMs = Math.max(0, nowMs - state.atMs);
  return { ...state, tokens: Math.min(limit.capacity, state.tokens + (elapsedMs / 1000) * limit.perSecond), atMs: Math.max(nowMs, state.atMs) };
}

/** Takes `cost` tokens (at most the capacity) or says how long until they are there, milliseconds. */
export function take(limit: Limit, state: BucketState, cost: number, nowMs: number): { state: BucketState; waitMs: number } {
  const now = refill(limit, state, nowMs);
  const blockedMs = Math.max(0, now.blockedUntilMs - nowMs);
  const missing = Math.min(cost, limit.capacity) - now.tokens;
  const waitMs = Math.max(blockedMs, missing > 1e-9 ? Math.ceil((missing / limit.perSecond) * 1000) : 0);
  return waitMs > 0 ? { state: now, waitMs } : { state: { ...now, tokens: now.tokens - cost }, waitMs: 0 };
}

/** What the cloud's own headers say: at most `remaining` tokens are left. A header never adds tokens: it may be older than our last call. */
export function learn(state: BucketState, remaining: number): BucketState {
  return remaining < state.tokens ? { ...state, tokens: remaining } : state;
}

/** The cloud refused a call: the bucket is empty and closed for `waitMs`. */
export function block(state: BucketState, waitMs: number, nowMs: number): BucketState {
  return { tokens: Math.min(state.tokens, 0), atMs: Math.max(state.atMs, nowMs), blockedUntilMs: Math.max(state.blockedUntilMs, nowMs + waitMs) };
}

/** Time and sleep as arguments, so that limits of hours can be tested in a moment. */
export interface Pace {
  now(): number;
  /** Ends after `ms` or, with the signal's reason, when it fires. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** The real clock. */
export const realPace: Pace = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(interruption(signal));
      const timer = setTimeout(done, Math.max(0, ms));
      function done(): void {
        signal.removeEventListener('abort', aborted);
        resolve();
      }
      function aborted(): void {
        clearTimeout(timer);
        reject(interruption(signal));
      }
      signal.addEventListener('abort', aborted, { once: true });
    }),
};

function interruption(signal: AbortSignal): BeltError {
  return signal.reason instanceof BeltError ? signal.reason : new BeltError('interrupted', 'interrupted', { cause: signal.reason });
}

interface Lane {
  readonly limit: Limit;
  state: BucketState;
  /** The end of the queue: each waiter starts when the one before has its tokens. */
  tail: Promise<void>;
}

/** Named buckets of one account and region. A name without a bucket is not limited. */
export class RateLimiter {
  readonly #lanes = new Map<string, Lane>();
  readonly #pace: Pace;

  constructor(limits: Readonly<Record<string, Limit>>, pace: Pace = realPace) {
    this.#pace = pace;
    for (const [name, limit] of Object.entries(limits)) {
      this.#lanes.set(name, { limit, state: fullBucket(limit, pace.now()), tail: Promise.resolve() });
    }
  }

  /** Ends when `cost` tokens of bucket `name` are taken; `interrupted` when the signal fires before. */
  async acquire(name: string, cost: number, signal: AbortSignal): Promise<void> {
    const lane = this.#lanes.get(name);
    if (lane === undefined) return;
    const turn = lane.tail.then(() => this.#wait(lane, cost, signal));
    lane.tail = turn.catch(() => undefined);
    await turn;
  }

  async #wait(lane: Lane, cost: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      if (signal.aborted) throw interruption(signal);
      const { state, waitMs } = take(lane.limit, lane.state, cost, this.#pace.now());
      lane.state = state;
      if (waitMs === 0) return;
      await this.#pace.sleep(waitMs, signal);
    }
  }

  /** Notes what the cloud's headers say is left. */
  learn(name: string, remaining: number): void {
    const lane = this.#lanes.get(name);
    if (lane !== undefined && Number.isFinite(remaining)) lane.state = learn(refill(lane.limit, lane.state, this.#pace.now()), remaining);
  }

  /** Notes that the cloud throttled a call of this bucket and wants `waitMs` of quiet. */
  throttled(name: string, waitMs: number): void {
    const lane = this.#lanes.get(name);
    if (lane !== undefined) lane.state = block(refill(lane.limit, lane.state, this.#pace.now()), waitMs, this.#pace.now());
  }
}

/** The shortest time `costs` calls can take, milliseconds: a full bucket first, then the refill. For plans and progress lines. */
export function leastTimeMs(limit: Limit, totalCost: number): number {
  return Math.max(0, ((totalCost - limit.capacity) / limit.perSecond) * 1000);
}

/** Refill that is left unused, as a part of what the cloud allows. */
const SLACK = 0.03;
/** Burst that is left unused: as a part of it, and as seconds of the refill, whichever is less. */
const HEADROOM = { part: 0.1, seconds: 10 } as const;

/**
 * Buckets a little below a cloud's own, `[capacity, tokens a second]`, for an account whose refill is `scale` times that. Calls do not arrive as evenly as they
 * leave: at exactly the cloud's rate, and with its whole burst spent, two that bunch up are one too many.
 */
export function belowLimits<K extends string>(own: Readonly<Record<K, readonly [number, number]>>, scale: number): Readonly<Record<K, Limit>> {
  const below = ([capacity, perSecond]: readonly [number, number]): Limit => {
    const headroom = Math.min(capacity * HEADROOM.part, perSecond * scale * HEADROOM.seconds);
    return { capacity: Math.max(1, Math.floor(capacity - headroom)), perSecond: perSecond * scale * (1 - SLACK) };
  };
  return Object.fromEntries(Object.entries<readonly [number, number]>(own).map(([name, limit]) => [name, below(limit)])) as Record<K, Limit>;
}

/** What a create costs at the limits alone: calls that change something or prepare it, and the least time they can take, milliseconds. Looking on is extra. */
export interface Estimate {
  readonly calls: number;
  readonly leastMs: number;
}
