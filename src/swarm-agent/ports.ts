/** What the agent's core takes from outside, so that a harness can host hundreds of agents in one process and turn time and chance by hand. */

export interface Clock {
  /** Wall time, ms since 1970: what certificates are judged by. */
  now(): number;
  /** Monotonic, ms: what waits and ages are measured by. */
  monotonic(): number;
  /** Calls `act` once after `ms`; the function returned calls it off. A timer keeps no process alive. */
  after(ms: number, act: () => void): () => void;
}

/** Uniform in [0, 1). Only for jitter: keys, ids and tokens are drawn by node:crypto. */
export type Random = () => number;

/** Takes the agent's own log, a line at a time. */
export type Log = (line: string) => void;

/** The longest a Node timer can wait, ms; longer waits fire early, so whoever waits looks again. */
const TIMER_MS_MAX = 2_147_483_647;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (ms, act) => {
    const timer = setTimeout(act, Math.min(Math.max(0, ms), TIMER_MS_MAX));
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** `signal`, and at the latest after `ms` of the system's own time: for calls of others, which no test's clock can end. */
export function within(ms: number, signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(ms)]);
}

/** Resolves after `ms`, or at once when `signal` fires. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = (): void => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(ms, end);
    signal.addEventListener('abort', end, { once: true });
  });
}
