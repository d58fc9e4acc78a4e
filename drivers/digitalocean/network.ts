/** What a cluster's droplets stand in: a VPC in each region and one firewall, found by name or made once. */
import { createHash } from 'node:crypto';
import { BeltError, isBeltError } from '../../src/errors.ts';
import type { DigitalOceanApi } from './api.ts';
import type { DigitalOceanOptions } from './options.ts';
import { clusterTag } from './tags.ts';

/** A VPC's default /20 holds about 4,090 droplets; ours are /16, so that 5,000 fit. */
const VPC_BITS = 16;

export const vpcName = (clusterId: string, region: string): string => `belt-${clusterId.slice(0, 12)}-${region}`;
export const firewallName = (clusterId: string): string => `belt-${clusterId.slice(0, 12)}`;

/** The id of the cluster's VPC in each region. Two runs that race make one: the loser finds the name taken and reads again. */
export async function ensureVpcs(api: DigitalOceanApi, clusterId: string, regions: readonly string[], signal: AbortSignal): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const region of regions) {
    const name = vpcName(clusterId, region);
    let vpcs = await api.vpcs(signal);
    let id = vpcs.find((vpc) => vpc.name === name)?.id;
    if (id === undefined) {
      try {
        id = await api.createVpc(name, region, freeRange(name, vpcs.map((vpc) => vpc.ip_range)), signal);
      } catch (error) {
        vpcs = await api.vpcs(signal);
        id = vpcs.find((vpc) => vpc.name === name)?.id;
        if (id === undefined) throw error;
      }
    }
    found.set(region, id);
  }
  return found;
}

/** The first free 10.x.0.0/16 from a place that the name chooses, so that clusters of several accounts seldom collide when they are joined later. */
export function freeRange(name: string, taken: readonly string[]): string {
  const used = new Set(taken.map((range) => range.split('.').slice(0, 2).join('.')));
  const start = (createHash('sha256').update(name).digest()[0] as number) % 236;
  for (let step = 0; step < 236; step += 1) {
    // 10.10/16 to 10.19/16 are DigitalOcean's own default networks.
    const second = ((start + step) % 236) + 20;
    if (!used.has(`10.${second}`)) return `10.${second}.0.0/${VPC_BITS}`;
  }
  throw new BeltError('driver_quota', 'no private network of 10.0.0.0/8 is free in the account', { next: 'remove VPCs that are no longer used' });
}

/** Makes the cluster's firewall where it is missing. It is attached by tag, since a firewall takes ten droplets by id at most. */
export async function ensureFirewall(api: DigitalOceanApi, clusterId: string, options: DigitalOceanOptions, signal: AbortSignal): Promise<void> {
  if (!options.firewall) return;
  const name = firewallName(clusterId);
  if ((await api.firewalls(signal)).some((firewall) => firewall.name === name)) return;
  const tag = clusterTag(clusterId);
  await api.createTag(tag, signal);
  try {
    await api.createFirewall({ name, tags: [tag], inbound_rules: inboundRules(tag, options.allow_from ?? []), outbound_rules: outboundRules() }, signal);
  } catch (error) {
    const there = isBeltError(error) && (await api.firewalls(signal)).some((firewall) => firewall.name === name);
    if (!there) throw error;
  }
}

/** Ports of the design's section 8: operators reach 22, 2376 and 2378, members everything of the swarm, the world nothing it was not given. */
export function inboundRules(tag: string, allowFrom: readonly string[]): object[] {
  const members = { tags: [tag] };
  const anywhere = allowFrom.includes('anywhere');
  const operators = { addresses: anywhere ? ['0.0.0.0/0', '::/0'] : allowFrom };
  const named = { addresses: allowFrom.filter((from) => from !== 'anywhere') };
  const rule = (protocol: string, ports: string, sources: object): object => ({ protocol, ports, sources });
  return [
    rule('tcp', '22', operators),
    ...(named.addresses.length > 0 ? [rule('tcp', '2376', named)] : []),
    rule('tcp', '2378', operators),
    rule('tcp', '2378', members),
    rule('tcp', '2377', members),
    rule('tcp', '7946', members),
    rule('udp', '7946', members),
    rule('udp', '4789', members),
    rule('icmp', '0', members),
  ];
}

function outboundRules(): object[] {
  const destinations = { addresses: ['0.0.0.0/0', '::/0'] };
  return [{ protocol: 'tcp', ports: '0', destinations }, { protocol: 'udp', ports: '0', destinations }, { protocol: 'icmp', ports: '0', destinations }];
}

/** Removes what {@link ensureVpcs} and {@link ensureFirewall} made, once the last droplet is gone. A VPC still in use is left for the next try. */
export async function removeNetwork(api: DigitalOceanApi, clusterId: string, signal: AbortSignal): Promise<void> {
  for (const firewall of await api.firewalls(signal)) if (firewall.name === firewallName(clusterId)) await api.deleteFirewall(firewall.id, signal);
  for (const vpc of await api.vpcs(signal)) {
    if (vpc.name !== vpcName(clusterId, vpc.region)) continue;
    await api.deleteVpc(vpc.id, signal).catch((error: unknown) => {
      if (!isBeltError(error, 'driver')) throw error;
    });
  }
}
