import { describe, expect, test } from 'vitest';

import { unordered } from '../../../drivers/docker/window.ts';

describe('unordered', () => {
  test('results come as they finish, never more than the limit run', async () => {
    const open = new Map<number, () => void>();
    let running = 0;
    let most = 0;
    const work = async (item: number): Promise<number> => {
      running += 1;
      most = Math.max(most, running);
      await new Promise<void>((resolve) => open.set(item, resolve));
      running -= 1;
      return item;
    };
    const results: number[] = [];
    const all = unordered([1, 2, 3, 4], 2, work, new AbortController().signal);
    for (const item of [2, 1, 3, 4]) {
      const next = all.next();
      open.get(item)?.();
      results.push((await next).value as number);
    }
    expect(results).toEqual([2, 1, 3, 4]);
    expect((await all.next()).done).toBe(true);
    expect(most).toBe(2);
  });

  test('an abort starts nothing new, hands out what ran, then throws its reason', async () => {
    const abort = new AbortController();
    const started: number[] = [];
    const results: number[] = [];
    const run = async (): Promise<void> => {
      for await (const item of unordered([1, 2, 3], 1, async (n) => { started.push(n); await Promise.resolve(); return n; }, abort.signal)) {
        results.push(item);
        abort.abort(new Error('enough'));
      }
    };
    await expect(run()).rejects.toThrow('enough');
    expect([started, results]).toEqual([[1], [1]]);
  });
});
