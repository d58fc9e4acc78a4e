/** What creating machines costs at EC2's limits, which are per region. Pure. */
import type { OrderedMachine } from '../../src/provision/driver.ts';
import { type Estimate, leastTimeMs } from '../../src/provision/rate-limit.ts';
import { batchesOf } from './launch.ts';
import { limitsOf } from './limits.ts';
import type { Ec2Options } from './options.ts';

/** Before the first machine of a region: image, key pair, network and security group. */
const SETUP = 8;

/** Regions run side by side: the slowest decides. */
export function estimateCreate(options: Ec2Options, machines: readonly OrderedMachine[]): Estimate {
  const limits = limitsOf(options.limit_scale);
  let calls = 0;
  let leastMs = 0;
  for (const group of Map.groupBy(machines, (machine) => machine.region).values()) {
    const batches = batchesOf(group);
    const tags = batches.reduce((sum, batch) => sum + (batch.names.length > 1 ? batch.names.length : 0), 0);
    calls += SETUP + batches.length + tags;
    leastMs = Math.max(leastMs, leastTimeMs(limits.run, batches.length), leastTimeMs(limits.runInstances, group.length), leastTimeMs(limits.tags, tags));
  }
  return { calls, leastMs };
}
