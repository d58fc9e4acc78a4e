/** What a cluster stands in: one resource group, and in each region a network behind a security group. All PUT by name, so again is harmless. */
import { createHash } from 'node:crypto';
import type { NetworkInterface, SecurityRule } from '@azure/arm-network';
import type { ClusterTag } from '../../src/provision/driver.ts';
import type { AzureApi } from './api.ts';
import type { AzureOptions } from './options.ts';

export const groupOf = (clusterId: string): string => `belt-${clusterId.slice(0, 12)}`;
/** Where the cluster's snapshots lie. */
export const snapshotGroupOf = (clusterId: string): string => `${groupOf(clusterId)}-snapshots`;
export const ownTags = (cluster: ClusterTag): Record<string, string> => ({ belt: '1', 'belt.cluster-id': cluster.clusterId, 'belt.cluster': cluster.cluster });

export const networkName = (region: string): string => `swarm-${region}`;

/** The addresses of a region's network: always the same, since a network in which machines stand cannot be given others. */
export function prefixOf(region: string): string {
  return `10.${40 + ((createHash('sha256').update(region).digest()[0] as number) % 200)}.0.0/16`;
}

/** The subnet of the region, made with its group and security group where they are missing. */
export async function ensureSubnet(api: AzureApi, cluster: ClusterTag, region: string, options: AzureOptions, signal: AbortSignal): Promise<string> {
  const group = groupOf(cluster.clusterId);
  const tags = ownTags(cluster);
  await api.call('group', () => api.resources.resourceGroups.createOrUpdate(group, { location: options.region, tags }, { abortSignal: signal }), signal);
  let networkSecurityGroup: { id: string } | undefined;
  if (options.firewall) {
    const body = { location: region, tags, securityRules: securityRules(options.allow_from ?? []) };
    const made = await api.call('networkWrite', () => api.network.networkSecurityGroups.beginCreateOrUpdateAndWait(group, networkName(region), body, { abortSignal: signal, ...api.wait }), signal);
    networkSecurityGroup = { id: made.id as string };
  }
  const there = (await api.all('networkRead', () => api.network.virtualNetworks.list(group, { abortSignal: signal }), signal)).find(({ name }) => name === networkName(region));
  const prefix = there?.addressSpace?.addressPrefixes?.[0] ?? prefixOf(region);
  const body = {
    location: region,
    tags,
    addressSpace: { addressPrefixes: [prefix] },
    subnets: [{ name: 'machines', addressPrefix: prefix, ...(networkSecurityGroup === undefined ? {} : { networkSecurityGroup }) }],
  };
  const network = await api.call('networkWrite', () => api.network.virtualNetworks.beginCreateOrUpdateAndWait(group, networkName(region), body, { abortSignal: signal, ...api.wait }), signal);
  return network.subnets?.[0]?.id ?? `${network.id}/subnets/machines`;
}

/** Ports of the design's section 8: operators reach 22, 2376 and 2378, members everything of the swarm, the world nothing it was not given. */
export function securityRules(allowFrom: readonly string[]): SecurityRule[] {
  const world = allowFrom.includes('anywhere');
  const named = allowFrom.filter((from) => from !== 'anywhere');
  const rule = (name: string, priority: number, protocol: string, ports: string[], from: string[]): SecurityRule => ({
    name, priority, protocol, access: 'Allow', direction: 'Inbound', sourcePortRange: '*', destinationAddressPrefix: '*', destinationPortRanges: ports,
    ...(from.length === 1 ? { sourceAddressPrefix: from[0] as string } : { sourceAddressPrefixes: from }),
  });
  const operators = world ? ['Internet'] : named;
  return [
    ...(operators.length > 0 ? [rule('operators', 100, 'Tcp', ['22', '2378'], operators)] : []),
    ...(named.length > 0 ? [rule('docker', 110, 'Tcp', ['2376'], named)] : []),
    rule('members-tcp', 120, 'Tcp', ['2377', '2378', '7946'], ['VirtualNetwork']),
    rule('members-udp', 130, 'Udp', ['4789', '7946'], ['VirtualNetwork']),
    // Encrypted overlay networks are ESP.
    { ...rule('members-esp', 140, 'Esp', [], ['VirtualNetwork']), destinationPortRange: '*' },
  ].map(({ destinationPortRanges, ...rest }) => (destinationPortRanges?.length === 0 ? rest : { ...rest, destinationPortRanges: destinationPortRanges as string[] }));
}

/** The address and interface of one named machine; the machine takes both along when it goes. */
export async function ensureInterface(api: AzureApi, cluster: ClusterTag, name: string, region: string, subnet: string, options: AzureOptions, signal: AbortSignal): Promise<NetworkInterface> {
  const group = groupOf(cluster.clusterId);
  const tags = ownTags(cluster);
  let publicIPAddress: { id: string; deleteOption: string } | undefined;
  if (options.public_addresses) {
    const body = { location: region, tags, sku: { name: 'Standard' as const }, publicIPAllocationMethod: 'Static' as const };
    const made = await api.call('networkWrite', () => api.network.publicIPAddresses.beginCreateOrUpdateAndWait(group, `${name}-ip`, body, { abortSignal: signal, ...api.wait }), signal);
    publicIPAddress = { id: made.id as string, deleteOption: 'Delete' };
  }
  const body = { location: region, tags, ipConfigurations: [{ name: 'ip', subnet: { id: subnet }, ...(publicIPAddress === undefined ? {} : { publicIPAddress }) }] };
  return api.call('networkWrite', () => api.network.networkInterfaces.beginCreateOrUpdateAndWait(group, `${name}-nic`, body, { abortSignal: signal, ...api.wait }), signal);
}
