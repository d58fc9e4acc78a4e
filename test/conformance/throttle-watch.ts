/** Throttles a fake's calls and counts those that come in the second half of the wait that was named: in the first, what was on its way already arrives. */
import type { Pace } from '../../src/provision/rate-limit.ts';
import type { FakeCall } from '../fakes/fault-plan.ts';
import type { RunningFake } from '../fakes/http-fake.ts';

/** Timers of a clock that runs 25 times as fast are exact to this, of its time. */
const TIMER_MS = 250;

export class ThrottleWatch {
  early = 0;
  #closedFrom = 0;
  #closedUntil = 0;
  readonly #fake: RunningFake;
  readonly #pace: Pace;

  constructor(fake: RunningFake, pace: Pace) {
    this.#fake = fake;
    this.#pace = pace;
  }

  /** The next `times` matching calls are refused; with a wait, calls in its second half are counted. */
  add(on: (call: FakeCall) => boolean, times: number, retryAfterSeconds: number | null, body: string, status = 429): void {
    let left = times;
    const watched = (call: FakeCall): boolean => {
      if (!on(call)) return false;
      const now = this.#pace.now();
      if (now > (this.#closedFrom + this.#closedUntil) / 2 && now < this.#closedUntil - TIMER_MS) this.early += 1;
      if (left > 0 && retryAfterSeconds !== null && now > this.#closedUntil) {
        this.#closedFrom = now;
        this.#closedUntil = now + retryAfterSeconds * 1000;
      }
      left -= 1;
      return true;
    };
    // The watch goes on after the last refusal: the call that follows it is the one that could be early.
    this.#fake.faults.add({ kind: 'answer', status, headers: retryAfterSeconds === null ? {} : { 'retry-after': String(retryAfterSeconds) }, body, times, on: watched });
    this.#fake.faults.add({ kind: 'slow', delayMs: 0, times: 1_000_000, on: watched });
  }
}
