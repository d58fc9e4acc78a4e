/**
 * The one place where a call to a cloud is repeated. SDKs' own retries are off: they multiply calls and hide throttling. What to do next
 * is a pure decision of the error, the attempt and chance; a call whose effect is unknown is looked up by the caller before it is made again.
 */
import { BeltError, isBeltError } from '../errors.ts';
import { realPace, type Pace } from './rate-limit.ts';

export interface RetryPolicy {
  /** Tries altogether, the first included. */
  readonly attempts: number;
  /** The first wait's upper bound, milliseconds; it doubles each time. */
  readonly baseMs: number;
  readonly capMs: number;
  /** All waits of one call together, milliseconds. */
  readonly budgetMs: number;
  /** All waits for a cloud that fails or does not answer, milliseconds; throttling is waited for as the cloud says. */
  readonly downMs: number;
}

/** Enough to sit out a throttled minute or a restarting API; throttling that says how long has no cap of its own but the budget. */
export const CLOUD_RETRY: RetryPolicy = { attempts: 10, baseMs: 500, capMs: 20_000, budgetMs: 900_000, downMs: 900_000 };

/** For lists that say who is down: others that answer are not kept waiting. */
export const LOOK_RETRY: RetryPolicy = { ...CLOUD_RETRY, downMs: 5_000 };

/**
 * How long to wait before the next try, milliseconds, or null to give up. `chance` is in [0, 1). What the other side asked for is kept, with
 * up to a tenth more, so that many callers do not come back at once; otherwise "full jitter" over an exponential bound
 * (aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter).
 */
export function nextWaitMs(policy: RetryPolicy, error: BeltError, attempt: number, spentMs: number, chance: number): number | null {
  if (!error.retryable || attempt >= policy.attempts) return null;
  const bound = Math.min(policy.capMs, policy.baseMs * 2 ** (attempt - 1));
  const waitMs = error.retryAfterMs === undefined ? Math.round(bound * (0.5 + chance / 2)) : Math.round(error.retryAfterMs * (1 + chance / 10));
  return spentMs + waitMs > (error.code === 'driver_unavailable' ? policy.downMs : policy.budgetMs) ? null : waitMs;
}

export interface RetryPorts {
  readonly pace?: Pace;
  readonly random?: () => number;
  readonly policy?: RetryPolicy;
  /** Told before each wait. */
  readonly onRetry?: (error: BeltError, waitMs: number, attempt: number) => void;
}

/**
 * Runs `call` until it succeeds, fails for good or the policy gives up; then the last error is thrown. `call` throws `BeltError`s, whose
 * `retryable` decides, and is given the number of the attempt, from 1.
 */
export async function withRetry<T>(call: (attempt: number) => Promise<T>, signal: AbortSignal, ports: RetryPorts = {}): Promise<T> {
  const { pace = realPace, random = Math.random, policy = CLOUD_RETRY } = ports;
  let spentMs = 0;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call(attempt);
    } catch (error) {
      if (!isBeltError(error) || signal.aborted) throw error;
      const waitMs = nextWaitMs(policy, error, attempt, spentMs, random());
      if (waitMs === null) throw error;
      ports.onRetry?.(error, waitMs, attempt);
      spentMs += waitMs;
      await pace.sleep(waitMs, signal);
    }
  }
}
