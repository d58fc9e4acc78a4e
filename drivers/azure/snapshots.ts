/**
 * Snapshots of machines' disks: PUT by name, so that asking again makes nothing twice. They lie in a resource group of their own, since the cluster's
 * goes whole with its last machine and they stay; with them lie the images that machines are made from.
 */
import { createHash } from 'node:crypto';
import type { Snapshot as DiskSnapshot } from '@azure/arm-compute';
import { BeltError, type Outcome } from '../../src/errors.ts';
import type { ClusterTag, Machine } from '../../src/provision/driver.ts';
import { realPace } from '../../src/provision/rate-limit.ts';
import { runAll } from '../../src/provision/run-all.ts';
import { type Snapshot, snapshotName, type Snapshots, takeSnapshots } from '../../src/provision/snapshots.ts';
import { AzureApi, type AzurePorts, CONCURRENCY } from './api.ts';
import { resourceOf } from './image.ts';
import { placeOf } from './machine.ts';
import { groupOf, ownTags, snapshotGroupOf } from './network.ts';
import type { AzureOptions } from './options.ts';
import { removeGroup, unlessNoGroup } from './sweep.ts';

/** The tag that says which snapshot of belt's it is. */
const WHICH = 'belt.snapshot';

export function createSnapshots(options: AzureOptions, ports: AzurePorts = {}): Snapshots {
  let opened: Promise<AzureApi> | undefined;
  const open = (): Promise<AzureApi> => (opened ??= AzureApi.open(options, ports));
  const pace = ports.pace ?? realPace;
  return {
    async *take(cluster, machines, label, signal): AsyncIterable<Outcome<Snapshot>> {
      const api = await open();
      let disks: Promise<Map<string, string>> | undefined;
      const ask = async (machine: Machine): Promise<'asked'> => {
        disks ??= prepare(api, cluster, options, signal);
        const disk = (await disks).get(placeOf(machine.id).name);
        if (disk === undefined) throw new BeltError('driver', `there is no machine ${machine.id} with a disk`, { machine: machine.name });
        await begin(api, cluster, machine, label, disk, signal);
        return 'asked';
      };
      yield* takeSnapshots(machines, label, { cloud: 'Azure', limit: CONCURRENCY, pace, list: () => listAll(api, cluster, signal), ask }, signal);
    },
    list: async (cluster, signal) => listAll((await open()).look(), cluster, signal),
    async remove(cluster, snapshots, signal): Promise<Outcome[]> {
      const api = await open();
      const outcomes = await runAll(snapshots, ({ id }) => remove(api, id, signal), { limit: CONCURRENCY, signal, nameOf: ({ name }) => name });
      const group = snapshotGroupOf(cluster.clusterId);
      if ((await snapshotsIn(api, group, signal))?.length === 0) await removeGroup(api, group, pace, signal);
      return outcomes;
    },
  };
}

/** The group made where it is missing; and the disk of each machine by Azure's name of the machine. */
async function prepare(api: AzureApi, cluster: ClusterTag, options: AzureOptions, signal: AbortSignal): Promise<Map<string, string>> {
  const its = { abortSignal: signal };
  const machines = await unlessNoGroup(() => api.all('listVm', () => api.compute.virtualMachines.list(groupOf(cluster.clusterId), its), signal), []);
  await api.call('group', () => api.resources.resourceGroups.createOrUpdate(snapshotGroupOf(cluster.clusterId), { location: options.region, tags: ownTags(cluster) }, its), signal);
  return new Map(machines.flatMap(({ name, storageProfile }) => (name === undefined || storageProfile?.osDisk?.managedDisk?.id === undefined ? [] : [[name, storageProfile.osDisk.managedDisk.id]])));
}

/** The machine goes on running: what is on the disk is what a power cut would leave. Incremental ones cost what has changed since the one before. */
async function begin(api: AzureApi, cluster: ClusterTag, machine: Machine, label: string, disk: string, signal: AbortSignal): Promise<void> {
  const name = snapshotName(machine.name, label);
  const body: DiskSnapshot = { location: machine.region, tags: { ...ownTags(cluster), [WHICH]: name }, incremental: true, creationData: { createOption: 'Copy', sourceResourceId: disk } };
  const group = snapshotGroupOf(cluster.clusterId);
  await api.call('changeVm', () => api.compute.snapshots.createOrUpdate(group, nameOf(machine.name, label), body, { abortSignal: signal }).submitted(), signal);
}

/** Azure's name has 80 letters, digits, `_` and `-`, whose case it does not see; a label may have others. */
function nameOf(machine: string, label: string): string {
  return `${machine}-${createHash('sha256').update(label).digest('hex').slice(0, 16)}`;
}

/** All snapshots of the group; null where there is no group. */
export function snapshotsIn(api: AzureApi, group: string, signal: AbortSignal): Promise<DiskSnapshot[] | null> {
  return unlessNoGroup<DiskSnapshot[] | null>(() => api.all('listVm', () => api.compute.snapshots.listByResourceGroup(group, { abortSignal: signal }), signal), null);
}

async function listAll(api: AzureApi, cluster: ClusterTag, signal: AbortSignal): Promise<Snapshot[]> {
  const found = (await snapshotsIn(api, snapshotGroupOf(cluster.clusterId), signal)) ?? [];
  return found.flatMap(({ id, tags, location, provisioningState, diskSizeGB, timeCreated }): Snapshot[] => {
    const name = tags?.[WHICH];
    if (name === undefined || id === undefined) return [];
    const status = provisioningState === 'Succeeded' ? 'ready' : provisioningState === 'Failed' || provisioningState === 'Canceled' ? 'error' : 'new';
    return [{ name, driver: 'azure', id, machine: name.split('@')[0] ?? '', regions: [location], status, sizeGb: diskSizeGB ?? null, createdAt: timeCreated?.toISOString() ?? null }];
  });
}

/** The image first: whoever comes after a run that died here still finds the snapshot. */
async function remove(api: AzureApi, id: string, signal: AbortSignal): Promise<void> {
  const { group, name } = resourceOf(id);
  const wait = { abortSignal: signal, ...api.wait };
  await unlessNoGroup<void>(() => api.call('deleteVm', async () => api.compute.images.delete(group, name, wait), signal), undefined);
  await unlessNoGroup<void>(() => api.call('deleteVm', async () => api.compute.snapshots.delete(group, name, wait), signal), undefined);
}
