import { expect, it } from 'vitest';

import { pollDelayMs } from '../../src/provision/poll.ts';

it('looks again soon at first, later where lists are long, and never later than it may', () => {
  expect([0, 3, 50].map((poll) => pollDelayMs(poll, 10))).toEqual([250, 844, 5000]);
  expect([0, 1, 50].map((poll) => pollDelayMs(poll, 2000))).toEqual([5000, 7500, 20_000]);
  expect([0, 50].map((poll) => pollDelayMs(poll, 2000, 3000))).toEqual([3000, 3000]);
});
