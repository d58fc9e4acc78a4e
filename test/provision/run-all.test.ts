import { describe, expect, it } from 'vitest';

import { BeltError } from '../../src/errors.ts';
import { runAll } from '../../src/provision/run-all.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const never = new AbortController().signal;

describe('bulk work', () => {
  it('keeps at most the limit under way, and the order of the outcomes', async () => {
    let underWay = 0;
    let most = 0;
    const items = Array.from({ length: 200 }, (_, at) => at);
    const outcomes = await runAll(items, async (item) => {
      most = Math.max(most, (underWay += 1));
      for (let wait = item % 3; wait >= 0; wait -= 1) await turn();
      underWay -= 1;
      return item * 2;
    }, { limit: 7, signal: never, nameOf: String });
    expect(most).toBe(7);
    expect(outcomes.map((outcome) => outcome.ok && outcome.value)).toEqual(items.map((item) => item * 2));
  });

  it('one slow item holds up its own place only', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const done: number[] = [];
    const running = runAll([0, 1, 2, 3, 4], async (item) => {
      if (item === 0) await gate;
      done.push(item);
      if (item === 4) release();
    }, { limit: 2, signal: never, nameOf: String });
    await running;
    expect(done).toEqual([1, 2, 3, 4, 0]);
  });

  it('one failure hides nothing', async () => {
    const seen: [number, number][] = [];
    const outcomes = await runAll(['a', 'b', 'c'], async (item) => {
      if (item === 'b') throw new BeltError('driver_quota', 'full');
    }, { limit: 1, signal: never, nameOf: (item) => item, onDone: (_outcome, done, failed) => seen.push([done, failed]) });
    expect(outcomes.map((outcome) => (outcome.ok ? 'ok' : outcome.error.code))).toEqual(['ok', 'driver_quota', 'ok']);
    expect(seen).toEqual([[1, 0], [1, 1], [2, 1]]);
  });

  it('what has not begun when the signal fires fails as interrupted', async () => {
    const stop = new AbortController();
    const outcomes = await runAll([1, 2, 3], async (item) => {
      if (item === 1) stop.abort();
    }, { limit: 1, signal: stop.signal, nameOf: String });
    expect(outcomes.map((outcome) => (outcome.ok ? 'ok' : outcome.error.code))).toEqual(['ok', 'interrupted', 'interrupted']);
  });
});
