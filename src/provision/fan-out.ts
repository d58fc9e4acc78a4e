/**
 * Many calls with at most so many under way: a sliding window, so that one slow call holds up nobody but itself. Results come out as they are
 * ready. A caller that stops early, or a call that throws, lets what is under way finish before it goes on: nothing is left running unseen.
 */

/** Runs `run` for each item, `limit` (at least 1) at once, and yields what each gives, in the order of finishing. The first throw ends it. */
export async function* fanOut<I, O>(items: Iterable<I>, limit: number, run: (item: I) => Promise<readonly O[]>): AsyncGenerator<O> {
  const source = items[Symbol.iterator]();
  const underWay = new Map<number, Promise<{ key: number; outputs: readonly O[] } | { key: number; thrown: unknown }>>();
  let nextKey = 0;
  const start = (): void => {
    while (underWay.size < Math.max(1, limit)) {
      const next = source.next();
      if (next.done === true) return;
      const key = nextKey++;
      underWay.set(key, run(next.value).then((outputs) => ({ key, outputs }), (thrown: unknown) => ({ key, thrown })));
    }
  };
  try {
    for (start(); underWay.size > 0; start()) {
      const settled = await Promise.race(underWay.values());
      underWay.delete(settled.key);
      if ('thrown' in settled) throw settled.thrown;
      yield* settled.outputs;
    }
  } finally {
    await Promise.all(underWay.values());
  }
}
