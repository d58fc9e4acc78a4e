/** A cluster's parts on EC2 that are not as they must be: in each region a security group and key pairs. */
import { isBeltError, type Outcome } from '../../src/errors.ts';
import { type CloudPart, mendEach, type Parts, type PartsFound } from '../../src/provision/parts.ts';
import { realPace } from '../../src/provision/rate-limit.ts';
import type { Ec2Ports, Ec2Region } from './api.ts';
import { instanceId, regionOf } from './machine.ts';
import { completeGroup, missingPermissions, networkOf, removeGroup, removeKeyPair } from './network.ts';
import type { Ec2Options } from './options.ts';
import { Regions } from './regions.ts';

export function createParts(options: Ec2Options, ports: Ec2Ports = {}): Parts {
  const regions = new Regions(options, ports);
  return {
    async find(cluster, signal): Promise<PartsFound> {
      const searched = await regions.searched(signal).catch((error: unknown) => {
        if (!isBeltError(error) || error.code === 'interrupted') throw error;
        return error;
      });
      if (isBeltError(searched)) return { parts: [], down: [{ region: null, error: searched }] };
      const { found, down } = await regions.ask(searched, (region) => findIn(region.look(), cluster.clusterId, options, signal));
      return { parts: found, down: [...down].map(([region, error]) => ({ region, error })) };
    },
    mend(cluster, parts, signal): Promise<Outcome[]> {
      return mendEach(parts, async ({ kind, id, state }) => {
        const region = await regions.open(regionOf(id ?? ''));
        const own = instanceId(id ?? '');
        if (kind === 'key pair') return removeKeyPair(region, own, signal);
        if (state === 'unused') return removeGroup(region, own, ports.pace ?? realPace, signal);
        const group = (await networkOf(region, cluster.clusterId, signal)).groups.find(({ GroupId }) => GroupId === own);
        if (group !== undefined) await completeGroup(region, group, options, signal);
      });
    },
  };
}

/** Ids are `region/own id`, as those of machines are. */
async function findIn(region: Ec2Region, clusterId: string, options: Ec2Options, signal: AbortSignal): Promise<CloudPart[]> {
  const isUsed = (await region.instances({ 'belt.cluster-id': clusterId }, signal)).length > 0;
  const { groups, keys } = await networkOf(region, clusterId, signal);
  const unused = { region: region.name, state: 'unused', why: 'no machine needs it' } as const;
  const parts: CloudPart[] = [];
  for (const group of groups) {
    const part = { kind: 'security group', name: group.GroupName ?? '', id: `${region.name}/${group.GroupId}`, region: region.name };
    const lacks = missingPermissions(group, options).length;
    if (!isUsed) parts.push({ ...unused, ...part });
    else if (lacks > 0) parts.push({ ...part, state: 'incomplete', why: `lacks ${lacks} of its rules` });
  }
  if (!isUsed) parts.push(...keys.map(({ KeyName = '' }): CloudPart => ({ ...unused, kind: 'key pair', name: KeyName, id: `${region.name}/${KeyName}` })));
  return parts;
}
