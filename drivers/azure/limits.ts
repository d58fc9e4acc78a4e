/** Azure's limits. */
import { belowLimits } from '../../src/provision/rate-limit.ts';

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
} as const;

/** The buckets of a subscription whose limits were raised `scale` times. */
export const limitsOf = (scale: number) => belowLimits(LIMITS, scale);
