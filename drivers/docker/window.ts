/** Work on many items, a few at once, results as they come. */

/**
 * Yields the results of `work` in the order they finish, with at most `limit` running. A rejection ends it. When `signal` fires nothing new is
 * started and the signal's reason is thrown after what runs has ended.
 */
export async function* unordered<T, R>(items: readonly T[], limit: number, work: (item: T) => Promise<R>, signal: AbortSignal): AsyncGenerator<R, void, void> {
  const running = new Map<number, Promise<{ key: number; result: R }>>();
  let next = 0;
  try {
    while (next < items.length || running.size > 0) {
      while (next < items.length && running.size < limit && !signal.aborted) {
        const key = next;
        running.set(key, work(items[key] as T).then((result) => ({ key, result })));
        next += 1;
      }
      if (running.size === 0) break;
      const { key, result } = await Promise.race(running.values());
      running.delete(key);
      yield result;
    }
  } finally {
    await Promise.allSettled(running.values());
  }
  signal.throwIfAborted();
}
