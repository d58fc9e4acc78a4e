/** A cluster's parts on Azure that are not as they must be: the whole group where no machine stands in it, else what no machine has: interfaces, addresses, disks, scale sets. */
import type { ClusterTag } from '../../src/provision/driver.ts';
import { type CloudPart, type Parts, partsOf } from '../../src/provision/parts.ts';
import { realPace } from '../../src/provision/rate-limit.ts';
import { AzureApi, type AzurePorts } from './api.ts';
import { ensureSubnet, groupOf, networkName, snapshotGroupOf } from './network.ts';
import type { AzureOptions } from './options.ts';
import { snapshotsIn } from './snapshots.ts';
import { removeGroup, unlessNoGroup } from './sweep.ts';

export function createParts(options: AzureOptions, ports: AzurePorts = {}): Parts {
  return partsOf(
    () => AzureApi.open(options, ports),
    async (api, cluster, signal) => [...(await findParts(api, cluster, options, signal)), ...(await emptySnapshots(api, cluster, signal))],
    async (api, cluster, part, signal) => {
      if (part.state === 'missing') await ensureSubnet(api, cluster, part.region ?? '', options, signal);
      else if (part.kind === 'resource group') await removeGroup(api, part.name, ports.pace ?? realPace, signal);
      else await remove(api, groupOf(cluster.clusterId), part, signal);
    },
  );
}

async function emptySnapshots(api: AzureApi, { clusterId }: ClusterTag, signal: AbortSignal): Promise<CloudPart[]> {
  const group = snapshotGroupOf(clusterId);
  const isEmpty = (await snapshotsIn(api, group, signal))?.length === 0;
  return isEmpty ? [{ kind: 'resource group', name: group, id: group, region: null, state: 'unused', why: 'no snapshot lies in it' }] : [];
}

const lower = (id: string | undefined): string => (id ?? '').toLowerCase();

async function findParts(api: AzureApi, cluster: ClusterTag, options: AzureOptions, signal: AbortSignal): Promise<CloudPart[]> {
  const group = groupOf(cluster.clusterId);
  const its = { abortSignal: signal };
  const { compute, network } = api;
  const machines = await unlessNoGroup(() => api.all('listVm', () => compute.virtualMachines.list(group, its), signal), null);
  if (machines === null) return [];
  const sets = await api.all('listVm', () => compute.virtualMachineScaleSets.list(group, its), signal);
  // Members of a set that is being made come up after it.
  const inMaking = sets.some(({ provisioningState }) => provisioningState === 'Creating' || provisioningState === 'Updating');
  if (machines.length === 0) return inMaking ? [] : [{ kind: 'resource group', name: group, id: group, region: null, state: 'unused', why: 'no machine stands in it' }];
  const part = (kind: string, { name = '', location = null }: { name?: string; location?: string | null }): CloudPart => ({ kind, name, id: `${kind}/${name}`, region: location, state: 'unused', why: 'no machine has it' });
  const nicsInUse = new Set(machines.flatMap((vm) => (vm.networkProfile?.networkInterfaces ?? []).map(({ id }) => lower(id))));
  const nics = await api.all('networkRead', () => network.networkInterfaces.list(group, its), signal);
  const freeNics = nics.filter((nic) => !nicsInUse.has(lower(nic.id)) && nic.virtualMachine === undefined);
  const free = new Set(freeNics.map(({ id }) => lower(id)));
  const addressesInUse = new Set(nics.filter(({ id }) => !free.has(lower(id))).flatMap((nic) => (nic.ipConfigurations ?? []).map(({ publicIPAddress }) => lower(publicIPAddress?.id))));
  // The platform's own note of who has an address names an interface's configuration.
  const hasOwner = (id: string | undefined): boolean => id !== undefined && !free.has(lower(id).split('/ipconfigurations/')[0] ?? '');
  const addresses = await api.all('networkRead', () => network.publicIPAddresses.list(group, its), signal);
  const disks = await api.all('listVm', () => compute.disks.listByResourceGroup(group, its), signal);
  const disksInUse = new Set(machines.map((vm) => lower(vm.storageProfile?.osDisk?.managedDisk?.id)));
  const setsInUse = new Set(machines.map((vm) => lower(vm.virtualMachineScaleSet?.id)));
  return [
    ...(await missingRules(api, group, machines, options, signal)),
    ...(inMaking ? [] : sets.filter(({ id }) => !setsInUse.has(lower(id))).map((set) => part('scale set', set))),
    ...freeNics.map((nic) => part('network interface', nic)),
    ...addresses.filter(({ id, ipConfiguration }) => !addressesInUse.has(lower(id)) && !hasOwner(ipConfiguration?.id)).map((address) => part('public address', address)),
    ...disks.filter(({ id, managedBy }) => !disksInUse.has(lower(id)) && managedBy === undefined).map((disk) => part('disk', disk)),
  ];
}

/** Regions with machines and without the security group, where nothing reaches the machines. */
async function missingRules(api: AzureApi, group: string, machines: readonly { location?: string }[], options: AzureOptions, signal: AbortSignal): Promise<CloudPart[]> {
  if (!options.firewall) return [];
  const groups = new Set((await api.all('networkRead', () => api.network.networkSecurityGroups.list(group, { abortSignal: signal }), signal)).map(({ name }) => name));
  const regions = [...new Set(machines.flatMap(({ location }) => location ?? []))].filter((region) => !groups.has(networkName(region)));
  return regions.map((region) => ({ kind: 'security group', name: networkName(region), id: null, region, state: 'missing', why: 'no port of the machines is open' }));
}

async function remove(api: AzureApi, group: string, { kind, name }: CloudPart, signal: AbortSignal): Promise<void> {
  const wait = { abortSignal: signal, ...api.wait };
  const { compute, network } = api;
  if (kind === 'network interface') await api.call('networkWrite', () => network.networkInterfaces.beginDeleteAndWait(group, name, wait), signal);
  else if (kind === 'public address') await api.call('networkWrite', () => network.publicIPAddresses.beginDeleteAndWait(group, name, wait), signal);
  else if (kind === 'disk') await api.call('deleteVm', async () => compute.disks.delete(group, name, wait), signal);
  else await api.call('deleteVm', async () => compute.virtualMachineScaleSets.delete(group, name, wait), signal);
}
