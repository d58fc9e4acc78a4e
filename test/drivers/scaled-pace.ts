/** Time for drivers under test that runs `scale` times as fast as the wall's, the same for the driver and for the fake it talks to. */
import type { Pace } from '../../src/provision/rate-limit.ts';
import { BeltError } from '../../src/errors.ts';
import { scaledClock } from '../fakes/limits.ts';

export function scaledPace(scale: number): Pace {
  const now = scaledClock(scale);
  return {
    now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const stop = (): void => {
          clearTimeout(timer);
          reject(new BeltError('interrupted', 'interrupted'));
        };
        const timer = setTimeout(() => (signal.removeEventListener('abort', stop), resolve()), ms / scale);
        if (signal.aborted) return stop();
        signal.addEventListener('abort', stop, { once: true });
      }),
  };
}
