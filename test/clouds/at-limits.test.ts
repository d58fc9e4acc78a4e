/** The small sibling of `bench/clouds`, which makes 5,000: enough machines that each cloud's limits bite. */
import { expect, it } from 'vitest';

import { schemasFound } from '../fakes/azure/schemas.ts';
import { contractFound } from '../fakes/digitalocean/contract.ts';
import { atLimits, callsOf, faultsAtLimits } from './at-limits.ts';

it.each([
  ['digitalocean', 5_000, 'droplets_create', 500, contractFound],
  ['ec2', 1_200, 'CreateTags', 1_200, true],
  ['azure', 600, 'PATCH virtualMachines', 600, schemasFound],
] as const)('%s: %i machines at the cloud’s limits, none of %s refused', async (cloud, machines, name, calls, found) => {
  if (!found && process.env['CI'] !== 'true') return;
  const run = await atLimits(cloud, machines);
  expect(faultsAtLimits(run, machines)).toEqual([]);
  expect([run.floor > 0, run.throttled]).toEqual([true, 0]);
  expect(callsOf(run.calls, name)).toBeGreaterThanOrEqual(calls);
}, 120_000);
