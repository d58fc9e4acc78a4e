/** EC2's limits. */
import type { Limit } from '../../src/provision/rate-limit.ts';

/** Calls do not arrive as evenly as they leave: at exactly the cloud's rate, and with its whole burst spent, two that bunch up are one too many. */
const HEADROOM = 0.9;
const PACE = 0.97;

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
} as const satisfies Readonly<Record<string, readonly [number, number]>>;

/** The buckets of an account whose limits were raised `scale` times. */
export function limitsOf(scale: number): Readonly<Record<keyof typeof LIMITS, Limit>> {
  return Object.fromEntries(Object.entries(LIMITS).map(([key, [capacity, perSecond]]) => [key, { capacity: Math.max(1, Math.floor(capacity * HEADROOM)), perSecond: perSecond * scale * PACE }])) as Record<keyof typeof LIMITS, Limit>;
}
