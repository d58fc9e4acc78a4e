/**
 * Time for drivers under test that passes only while everybody waits: when no HTTP call is under way, the clock jumps to the end of the shortest
 * sleep. Hours of a cloud's limits take as long as the calls themselves, and no busy machine can make calls bunch up that a cloud would throttle.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ClientRequest } from 'node:http';

import { BeltError } from '../../src/errors.ts';
import type { Pace } from '../../src/provision/rate-limit.ts';

/** Turns of the event loop without a call before everybody is taken to wait: an SDK unpacks a reply and signs the next call in a few. */
const QUIET_TURNS = 50;
/** How far the clock moves when nobody sleeps here: an SDK polls by a timer of its own, milliseconds. */
const STEP_MS = 100;

export interface VirtualPace extends Pace {
  close(): void;
}

interface Sleeper {
  readonly due: number;
  readonly wake: () => void;
}

/** Starts at the wall's time. Watches all HTTP calls of this process until it is closed. */
export function virtualPace(): VirtualPace {
  let at = Date.now();
  let underWay = 0;
  let quiet = 0;
  let ticking = false;
  const sleepers = new Set<Sleeper>();
  const tick = (): void => {
    ticking = underWay === 0;
    if (!ticking) return;
    quiet += 1;
    if (quiet < QUIET_TURNS) return void setImmediate(tick);
    ticking = false;
    const next = [...sleepers].reduce<Sleeper | null>((first, one) => (first === null || one.due < first.due ? one : first), null);
    at = Math.max(at, next?.due ?? at + STEP_MS);
    next?.wake();
    if (next !== null) look();
  };
  const look = (): void => {
    quiet = 0;
    if (ticking) return;
    ticking = true;
    setImmediate(tick);
  };
  const begun = (message: unknown): void => {
    underWay += 1;
    (message as { request: ClientRequest }).request.once('close', () => {
      underWay -= 1;
      look();
    });
  };
  subscribe('http.client.request.created', begun);
  return {
    now: () => at,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const stop = (): void => {
          sleepers.delete(sleeper);
          reject(new BeltError('interrupted', 'interrupted'));
        };
        const sleeper: Sleeper = { due: at + ms, wake: () => (sleepers.delete(sleeper), signal.removeEventListener('abort', stop), resolve()) };
        if (signal.aborted) return stop();
        signal.addEventListener('abort', stop, { once: true });
        sleepers.add(sleeper);
        look();
      }),
    close: () => unsubscribe('http.client.request.created', begun),
  };
}
