/** The rate limits a fake cloud enforces, on a clock that may run faster than the wall's. */

/** Milliseconds since some start; a fake's clock may run `scale` times as fast as the wall clock. */
export type FakeClock = () => number;

/** A clock that runs `scale` times as fast as real time and starts at the real time of its making. */
export function scaledClock(scale: number): FakeClock {
  const start = Date.now();
  const mark = performance.now();
  return () => start + (performance.now() - mark) * scale;
}

/** Classic bucket: `capacity` tokens at most, `refillPerSecond` come back in a second of the fake's clock. */
export class Bucket {
  #tokens: number;
  #at: number;
  readonly capacity: number;
  readonly refillPerSecond: number;
  readonly #clock: FakeClock;

  constructor(capacity: number, refillPerSecond: number, clock: FakeClock) {
    this.capacity = capacity;
    this.refillPerSecond = refillPerSecond;
    this.#clock = clock;
    this.#tokens = capacity;
    this.#at = clock();
  }

  /** Takes `count` tokens if they are there. */
  take(count = 1): boolean {
    this.#refill();
    if (this.#tokens < count) return false;
    this.#tokens -= count;
    return true;
  }

  get tokens(): number {
    this.#refill();
    return this.#tokens;
  }

  /** Seconds of the fake's clock until `count` tokens are there. */
  secondsUntil(count = 1): number {
    this.#refill();
    return Math.max(0, (count - this.#tokens) / this.refillPerSecond);
  }

  #refill(): void {
    const now = this.#clock();
    this.#tokens = Math.min(this.capacity, this.#tokens + ((now - this.#at) / 1000) * this.refillPerSecond);
    this.#at = now;
  }
}

/** DigitalOcean's kind: at most `limit` calls in any window of `windowMs`; each call leaves the window on its own. */
export class SlidingWindow {
  #calls: number[] = [];
  #head = 0;
  readonly limit: number;
  readonly windowMs: number;
  readonly #clock: FakeClock;

  constructor(limit: number, windowMs: number, clock: FakeClock) {
    this.limit = limit;
    this.windowMs = windowMs;
    this.#clock = clock;
  }

  take(): boolean {
    if (this.remaining() === 0) return false;
    this.#calls.push(this.#clock());
    return true;
  }

  remaining(): number {
    const oldest = this.#clock() - this.windowMs;
    while (this.#head < this.#calls.length && (this.#calls[this.#head] as number) <= oldest) this.#head += 1;
    if (this.#head > 4096) {
      this.#calls = this.#calls.slice(this.#head);
      this.#head = 0;
    }
    return this.limit - (this.#calls.length - this.#head);
  }

  /** When the oldest counted call leaves the window (the fake's milliseconds). */
  resetAt(): number {
    this.remaining();
    return (this.#calls[this.#head] ?? this.#clock()) + this.windowMs;
  }
}
