/** Many machines at once, never more than a limit: as one ends the next begins, and one's failure is its own. */
import { asBeltError, BeltError, type Outcome } from '../errors.ts';

export interface WindowOptions<R> {
  readonly limit: number;
  /** When it fires nothing new begins; what has not begun ends as `interrupted`. */
  readonly signal: AbortSignal;
  /** Called as each ends. */
  readonly onOutcome?: ((outcome: Outcome<R>) => void) | undefined;
}

/** The outcome of `act` for each item, in the items' order. Never rejects but for a fault in `onOutcome`. */
export async function runWindow<T, R>(items: readonly T[], nameOf: (item: T) => string, act: (item: T) => Promise<R>, options: WindowOptions<R>): Promise<Outcome<R>[]> {
  const outcomes: Outcome<R>[] = new Array<Outcome<R>>(items.length);
  let next = 0;
  async function lane(): Promise<void> {
    for (let at = next++; at < items.length; at = next++) {
      const item = items[at] as T;
      const outcome = await one(item);
      outcomes[at] = outcome;
      options.onOutcome?.(outcome);
    }
  }
  async function one(item: T): Promise<Outcome<R>> {
    const name = nameOf(item);
    if (options.signal.aborted) return { name, ok: false, error: new BeltError('interrupted', `interrupted before ${name} was begun`, { machine: name }) };
    try {
      return { name, ok: true, value: await act(item) };
    } catch (error) {
      return { name, ok: false, error: options.signal.aborted ? asBeltError(error, 'interrupted', { machine: name }) : asBeltError(error, 'failed', { machine: name }) };
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, Math.min(options.limit, items.length)) }, lane));
  return outcomes;
}
