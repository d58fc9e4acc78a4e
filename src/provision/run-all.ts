/** Bulk work: a sliding window over many items. One slow item holds up its own place only, one failure hides nothing. */
import { asBeltError, assert, BeltError, type Outcome } from '../errors.ts';

export interface RunAllOptions<T, R> {
  /** Items worked on at once. */
  readonly limit: number;
  readonly signal: AbortSignal;
  /** What the item is called in its outcome. */
  readonly nameOf: (item: T) => string;
  /** Told as each item ends, with how many have succeeded and failed so far. */
  readonly onDone?: (outcome: Outcome<R>, done: number, failed: number) => void;
}

/** Runs `act` on every item; outcomes in the order of the items. Never rejects: after the signal fires what has not begun fails as `interrupted`. */
export async function runAll<T, R>(items: readonly T[], act: (item: T, signal: AbortSignal) => Promise<R>, options: RunAllOptions<T, R>): Promise<Outcome<R>[]> {
  assert(Number.isInteger(options.limit) && options.limit >= 1, 'a window has room for one at least');
  const outcomes = new Array<Outcome<R>>(items.length);
  let next = 0;
  let done = 0;
  let failed = 0;
  const runOne = async (item: T): Promise<Outcome<R>> => {
    const name = options.nameOf(item);
    if (options.signal.aborted) return { name, ok: false, error: new BeltError('interrupted', 'interrupted before it began') };
    try {
      return { name, ok: true, value: await act(item, options.signal) };
    } catch (error) {
      return { name, ok: false, error: asBeltError(error, options.signal.aborted ? 'interrupted' : 'failed', { machine: name }) };
    }
  };
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const at = next;
      next += 1;
      const outcome = await runOne(items[at] as T);
      outcomes[at] = outcome;
      if (outcome.ok) done += 1;
      else failed += 1;
      options.onDone?.(outcome, done, failed);
    }
  };
  await Promise.all(Array.from({ length: Math.min(options.limit, items.length) }, lane));
  return outcomes;
}
