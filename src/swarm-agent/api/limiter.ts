/** A token bucket for the one call anybody may make. Pure: it is given the time. */

/** Joins: a burst of what a bulk join sends at once, then as many a second as a leader can sign and commit without hurting its heartbeats. */
export const JOIN_RATE = { burst: 256, perSecond: 200 } as const;

export class RateLimiter {
  readonly #burst: number;
  readonly #perSecond: number;
  #tokens: number;
  #at: number;

  constructor(rate: { readonly burst: number; readonly perSecond: number }, now: number) {
    this.#burst = rate.burst;
    this.#perSecond = rate.perSecond;
    this.#tokens = rate.burst;
    this.#at = now;
  }

  /** Takes one and answers 0, or answers how long to wait, ms. */
  take(now: number): number {
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    if (this.#tokens < 1) return Math.ceil(((1 - this.#tokens) / this.#perSecond) * 1000);
    this.#tokens -= 1;
    return 0;
  }
}
