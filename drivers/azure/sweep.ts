/** Everything of a cluster seen at once: a few lists in pages, however many machines there are. */
import type { VirtualMachine, VirtualMachineScaleSet } from '@azure/arm-compute';
import { BeltError } from '../../src/errors.ts';
import type { ClusterTag } from '../../src/provision/driver.ts';
import { fanOut } from '../../src/provision/fan-out.ts';
import { decodeNames } from '../../src/provision/name-runs.ts';
import { pollDelayMs } from '../../src/provision/poll.ts';
import type { Pace } from '../../src/provision/rate-limit.ts';
import { type AzureApi, CONCURRENCY } from './api.ts';
import { groupOf } from './network.ts';

/** Everything of a cluster in one sweep. */
export interface Sweep {
  readonly machines: readonly VirtualMachine[];
  /** belt's name of each machine, by Azure's. */
  readonly names: ReadonlyMap<string, string>;
  /** Machines whose tag with belt's name is still missing. */
  readonly untagged: readonly VirtualMachine[];
  readonly power: ReadonlyMap<string, readonly string[]>;
  readonly addresses: ReadonlyMap<string, { publicIpv4: string | null; privateIpv4: string | null }>;
}

/** What `act` gives, or `otherwise` where the cluster has no group yet, or none any more. */
export async function unlessNoGroup<T>(act: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof BeltError && error.message.includes('ResourceGroupNotFound')) return otherwise;
    throw error;
  }
}

/** One sweep of the cluster's group: machines with their names, and with `all` their power and addresses, which cost three more lists. */
export async function sweepCluster(api: AzureApi, cluster: ClusterTag, signal: AbortSignal, depth: 'names' | 'all' = 'all'): Promise<Sweep> {
  const group = groupOf(cluster.clusterId);
  const options = { abortSignal: signal };
  const machines = (await unlessNoGroup(() => api.all('listVm', () => api.compute.virtualMachines.list(group, options), signal), [])).filter((vm) => vm.provisioningState !== 'Deleting');
  if (machines.length === 0) return { machines, names: new Map(), untagged: [], power: new Map(), addresses: new Map() };
  const untagged = machines.filter((vm) => vm.tags?.['belt.name'] === undefined);
  const sets = untagged.length === 0 ? [] : await api.all('listVm', () => api.compute.virtualMachineScaleSets.list(group, options), signal);
  const names = giveNames(machines, sets);
  if (depth === 'names') return { machines, names, untagged, power: new Map(), addresses: new Map() };
  const statuses = await api.all('listVm', () => api.compute.virtualMachines.listAll({ statusOnly: 'true', ...options }), signal);
  const power = new Map(statuses.map((vm) => [(vm.id ?? '').toLowerCase(), (vm.instanceView?.statuses ?? []).map((status) => status.code ?? '')]));
  return { machines, names, untagged, power, addresses: await addressesOf(api, group, machines, signal) };
}

/** Addresses of the machines, by their names in Azure. */
export async function addressesOf(api: AzureApi, group: string, machines: readonly VirtualMachine[], signal: AbortSignal): Promise<Sweep['addresses']> {
  const options = { abortSignal: signal };
  const nics = new Map((await api.all('networkRead', () => api.network.networkInterfaces.list(group, options), signal)).map((nic) => [(nic.id ?? '').toLowerCase(), nic]));
  const ips = new Map((await api.all('networkRead', () => api.network.publicIPAddresses.list(group, options), signal)).map((ip) => [(ip.id ?? '').toLowerCase(), ip.ipAddress ?? null]));
  return new Map(
    machines.map((vm) => {
      const config = nics.get((vm.networkProfile?.networkInterfaces?.[0]?.id ?? '').toLowerCase())?.ipConfigurations?.[0];
      return [vm.name as string, { publicIpv4: ips.get((config?.publicIPAddress?.id ?? '').toLowerCase()) ?? null, privateIpv4: config?.privateIPAddress ?? null }];
    }),
  );
}

/** The names a scale set was made for. */
export function namesOf(set: VirtualMachineScaleSet): string[] {
  const parts = Object.entries(set.tags ?? {}).filter(([key]) => key.startsWith('belt.names.'));
  return parts.sort(([a], [b]) => Number(a.split('.')[2]) - Number(b.split('.')[2])).flatMap(([, text]) => decodeNames(text));
}

/** belt's name of each machine: its tag, and for members of a set without one the set's free names in the order of Azure's names. */
function giveNames(machines: readonly VirtualMachine[], sets: readonly VirtualMachineScaleSet[]): Map<string, string> {
  const names = new Map<string, string>();
  for (const vm of machines) if (vm.tags?.['belt.name'] !== undefined) names.set(vm.name as string, vm.tags['belt.name']);
  const taken = new Set(names.values());
  for (const set of sets) {
    const free = namesOf(set).filter((name) => !taken.has(name));
    const members = machines.filter((vm) => !names.has(vm.name as string) && vm.virtualMachineScaleSet?.id?.toLowerCase() === set.id?.toLowerCase());
    for (const vm of members.toSorted((a, b) => (a.name as string).localeCompare(b.name as string))) {
      const name = free.shift();
      if (name !== undefined) names.set(vm.name as string, name);
    }
  }
  return names;
}

/** A group is given this long to go. */
const REMOVAL_MS = 900_000;

/** The whole group at once is the shortest way out; waited for, so that the next create finds no group on its way out. */
export async function removeGroup(api: AzureApi, group: string, pace: Pace, signal: AbortSignal): Promise<void> {
  const exists = (): Promise<boolean> => api.call('groupRead', async () => (await api.resources.resourceGroups.checkExistence(group, { abortSignal: signal })).body, signal);
  if (!(await exists())) return;
  // A call repeated after a lost answer may find the group gone.
  await unlessNoGroup<unknown>(() => api.call('group', () => api.resources.resourceGroups.beginDelete(group, { abortSignal: signal, ...api.wait }), signal), undefined);
  const start = pace.now();
  for (let poll = 0; await exists(); poll += 1) {
    if (pace.now() - start > REMOVAL_MS) throw new BeltError('timeout', `resource group ${group} is still being deleted`, { next: 'belt doctor looks again' });
    await pace.sleep(pollDelayMs(poll, 1), signal);
  }
}

/** Writes belt's name onto members of scale sets, `most` of them; gives each that has it. */
export async function* nameMembers(api: AzureApi, clusterId: string, sweep: Sweep, signal: AbortSignal, most = Infinity): AsyncIterable<VirtualMachine> {
  const tag = async (vm: VirtualMachine): Promise<VirtualMachine[]> => {
    const tags = { ...vm.tags, 'belt.name': sweep.names.get(vm.name as string) as string };
    await api.call('changeVm', () => api.compute.virtualMachines.update(groupOf(clusterId), vm.name as string, { tags }, { abortSignal: signal }).submitted(), signal);
    return [vm];
  };
  yield* fanOut(sweep.untagged.slice(0, most), CONCURRENCY, tag);
}
