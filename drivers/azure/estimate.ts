/** What creating machines costs at Azure's limits. Pure. */
import type { OrderedMachine } from '../../src/provision/driver.ts';
import { type Estimate, leastTimeMs } from '../../src/provision/rate-limit.ts';
import { limitsOf } from './limits.ts';
import { SET_MAX } from './machine-body.ts';
import type { AzureOptions } from './options.ts';

/** Resource group, network and its rules. */
const SETUP = 3;

/** A machine of its own is three writes (two without a public address); a member of a scale set one, its name. */
export function estimateCreate(options: AzureOptions, machines: readonly OrderedMachine[]): Estimate {
  const limits = limitsOf(options.limit_scale);
  const counts = { putVm: 0, changeVm: 0, putSet: 0, networkWrite: SETUP };
  for (const group of Map.groupBy(machines, (machine) => `${machine.region}/${machine.zone ?? ''}`).values()) {
    if (group.length >= options.scale_set_from) {
      counts.putSet += Math.ceil(group.length / SET_MAX);
      counts.changeVm += group.length;
    } else {
      counts.putVm += group.length;
      counts.networkWrite += group.length * (options.public_addresses ? 2 : 1);
    }
  }
  const calls = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const lanes = Object.entries(counts).map(([lane, count]) => leastTimeMs(limits[lane as keyof typeof counts], count));
  // Every write passes ARM's front door as well.
  return { calls, leastMs: Math.max(...lanes, leastTimeMs(limits.armWrite, calls)) };
}
