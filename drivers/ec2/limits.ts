/** EC2's limits. */
import { belowLimits } from '../../src/provision/rate-limit.ts';

/** EC2's limits per account and region: capacity and refill a second (its API throttling page). `runInstances` and `stopInstances` count machines. */
const LIMITS = {
  describe: [100, 20],
  mutate: [50, 5],
  run: [5, 2],
  start: [5, 2],
  terminate: [100, 5],
  tags: [100, 10],
  runInstances: [1000, 2],
  stopInstances: [1000, 20],
} as const;

/** The buckets of an account whose limits were raised `scale` times. */
export const limitsOf = (scale: number) => belowLimits(LIMITS, scale);
