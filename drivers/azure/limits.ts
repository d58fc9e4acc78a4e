/** Azure's limits. */
import type { Limit } from '../../src/provision/rate-limit.ts';

/** Calls do not arrive as evenly as they leave: at exactly the cloud's rate, and with its whole burst spent, two that bunch up are one too many. */
const HEADROOM = 0.9;
const PACE = 0.97;

/** Limits per subscription and region, capacity and refill a second: Azure's compute throttling page; network has 1,000 writes in five minutes. */
const LIMITS = {
  putVm: [1500, 500 / 60],
  changeVm: [1500, 500 / 60],
  deleteVm: [1500, 500 / 60],
  listVm: [900, 300 / 60],
  putSet: [375, 125 / 60],
  networkWrite: [1000, 200 / 60],
  networkRead: [10_000, 2_000 / 60],
  armWrite: [200, 10],
  armDelete: [200, 10],
  armRead: [250, 25],
} as const satisfies Readonly<Record<string, readonly [number, number]>>;

/** The buckets of a subscription whose limits were raised `scale` times. */
export function limitsOf(scale: number): Readonly<Record<keyof typeof LIMITS, Limit>> {
  return Object.fromEntries(Object.entries(LIMITS).map(([key, [capacity, perSecond]]) => [key, { capacity: Math.max(1, Math.floor(capacity * HEADROOM)), perSecond: perSecond * scale * PACE }])) as Record<keyof typeof LIMITS, Limit>;
}
