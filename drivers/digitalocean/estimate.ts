/** What creating machines costs at the account's limits. Pure. */
import type { OrderedMachine } from '../../src/provision/driver.ts';
import { type Estimate, leastTimeMs, type Limit } from '../../src/provision/rate-limit.ts';
import type { DigitalOceanOptions } from './options.ts';

/** Names a create call takes at most (the API's own limit). */
export const BATCH = 10;
/** Before the first machine: firewalls, the tag and the firewall, networks, keys and the key. */
const SETUP = 6;

/** The API counts calls in a sliding minute: a small burst and an even pace after it never exceed one, whenever it starts. */
export function limitsOf(options: Pick<DigitalOceanOptions, 'calls_per_minute' | 'calls_per_hour'>): Readonly<Record<'minute' | 'hour', Limit>> {
  const { calls_per_minute: perMinute, calls_per_hour: perHour } = options;
  return {
    minute: { capacity: Math.max(1, perMinute * 0.04), perSecond: (perMinute * 0.96) / 60 },
    hour: { capacity: perHour, perSecond: perHour / 3600 },
  };
}

export function estimateCreate(options: DigitalOceanOptions, machines: readonly OrderedMachine[]): Estimate {
  const regions = Map.groupBy(machines, (machine) => machine.region);
  const calls = [...regions.values()].reduce((sum, group) => sum + 1 + Math.ceil(group.length / BATCH), SETUP);
  const { minute, hour } = limitsOf(options);
  return { calls, leastMs: Math.max(leastTimeMs(minute, calls), leastTimeMs(hour, calls)) };
}
