/** Snapshots of instances are images: EC2 takes a name once in an account and region, so that asking again makes nothing twice. An image lies on snapshots of disks, which go after it. */
import type * as Sdk from '@aws-sdk/client-ec2';
import { isBeltError, type Outcome } from '../../src/errors.ts';
import type { ClusterTag, Machine } from '../../src/provision/driver.ts';
import { realPace } from '../../src/provision/rate-limit.ts';
import { runAll } from '../../src/provision/run-all.ts';
import { nameOnCloud, readNameOnCloud, type Snapshot, snapshotName, type Snapshots, takeSnapshots } from '../../src/provision/snapshots.ts';
import { type Ec2Ports, type Ec2Region, OURS } from './api.ts';
import { instanceId, tagsOf } from './machine.ts';
import type { Ec2Options } from './options.ts';
import { CONCURRENCY, Regions } from './regions.ts';

/** On images, and on disk snapshots whose image is about to go: which snapshot of belt's they are. */
const WHICH = 'belt.snapshot';

export function createSnapshots(options: Ec2Options, ports: Ec2Ports = {}): Snapshots {
  const regions = new Regions(options, ports);
  return {
    take(cluster, machines, label, signal): AsyncIterable<Outcome<Snapshot>> {
      const list = async (those: readonly Machine[]): Promise<readonly Snapshot[]> =>
        (await regions.ask(new Set(those.map(({ region }) => region)), (region) => listIn(region, cluster, signal))).found;
      const take = async (machine: Machine): Promise<'asked' | 'there'> => ask(await regions.open(machine.region), cluster, machine, label, signal);
      return takeSnapshots(machines, label, { cloud: 'EC2', limit: CONCURRENCY, pace: ports.pace ?? realPace, list, ask: take }, signal);
    },
    async list(cluster, signal): Promise<Snapshot[]> {
      const { found, down } = await regions.ask(await regions.searched(signal), (region) => listIn(region.look(), cluster, signal));
      const [silent] = down;
      if (silent !== undefined && found.length === 0) throw silent[1];
      return [...found];
    },
    remove(cluster, snapshots, signal): Promise<Outcome[]> {
      const act = async ({ name, id, regions: [place = ''] }: Snapshot): Promise<void> => remove(await regions.open(place), cluster, id, name, signal);
      return runAll(snapshots, act, { limit: CONCURRENCY, signal, nameOf: ({ name }) => name });
    },
  };
}

/** Without a reboot: a manager that goes down for its picture could cost the quorum. What is on the disk then is what a power cut would leave. */
async function ask(region: Ec2Region, cluster: ClusterTag, machine: Machine, label: string, signal: AbortSignal): Promise<'asked' | 'there'> {
  const name = snapshotName(machine.name, label);
  const Tags = tagsFor(cluster, name);
  const command = new region.sdk.CreateImageCommand({
    InstanceId: instanceId(machine.id), Name: nameOnCloud(cluster, machine.name, label), NoReboot: true,
    TagSpecifications: [{ ResourceType: 'image', Tags }],
  });
  try {
    await region.call('mutate', command, signal);
    return 'asked';
  } catch (error) {
    if (isBeltError(error) && error.message.includes('InvalidAMIName.Duplicate:')) return 'there';
    throw error;
  }
}

function tagsFor(cluster: ClusterTag, name: string): Sdk.Tag[] {
  return Object.entries({ [OURS]: '1', 'belt.cluster-id': cluster.clusterId, [WHICH]: name, Name: name }).map(([Key, Value]) => ({ Key, Value }));
}

async function listIn(region: Ec2Region, cluster: ClusterTag, signal: AbortSignal): Promise<Snapshot[]> {
  const { sdk } = region;
  const Filters = [{ Name: 'tag:belt.cluster-id', Values: [cluster.clusterId] }];
  const { Images = [] } = await region.call<Sdk.DescribeImagesCommandOutput>('describe', new sdk.DescribeImagesCommand({ Owners: ['self'], Filters }), signal);
  const images = Images.flatMap((image): Snapshot[] => {
    const read = readNameOnCloud(cluster, image.Name ?? '');
    if (read === null || image.ImageId === undefined) return [];
    const sizes = (image.BlockDeviceMappings ?? []).flatMap(({ Ebs }) => Ebs?.VolumeSize ?? []);
    const status = image.State === 'available' ? 'ready' : image.State === 'pending' ? 'new' : 'error';
    return [{ name: snapshotName(read.machine, read.label), driver: 'ec2', id: image.ImageId, machine: read.machine, regions: [region.name], status, sizeGb: sizes.length === 0 ? null : sizes.reduce((sum, size) => sum + size, 0), createdAt: image.CreationDate ?? null }];
  });
  // A removal that died half-way leaves disks without their image.
  const known = new Set(images.map(({ name }) => name));
  const { Snapshots: disks = [] } = await region.call<Sdk.DescribeSnapshotsCommandOutput>('describe', new sdk.DescribeSnapshotsCommand({ OwnerIds: ['self'], Filters }), signal);
  const widowed = disks.filter((disk) => !known.has(tagsOf(disk)[WHICH] ?? ''));
  return [...images, ...widowed.map((disk): Snapshot => {
    const name = tagsOf(disk)[WHICH] ?? '';
    return { name, driver: 'ec2', id: disk.SnapshotId ?? '', machine: name.split('@')[0] ?? '', regions: [region.name], status: 'error', sizeGb: disk.VolumeSize ?? null, createdAt: disk.StartTime?.toISOString() ?? null };
  })];
}

async function remove(region: Ec2Region, cluster: ClusterTag, id: string, name: string, signal: AbortSignal): Promise<void> {
  const { sdk } = region;
  const Filters = [{ Name: 'tag:belt.cluster-id', Values: [cluster.clusterId] }, { Name: `tag:${WHICH}`, Values: [name] }];
  const tagged = await region.call<Sdk.DescribeSnapshotsCommandOutput>('describe', new sdk.DescribeSnapshotsCommand({ OwnerIds: ['self'], Filters }), signal);
  const disks = new Set((tagged.Snapshots ?? []).flatMap(({ SnapshotId }) => SnapshotId ?? []));
  if (id.startsWith('ami-')) {
    const { Images = [] } = await region.call<Sdk.DescribeImagesCommandOutput>('describe', new sdk.DescribeImagesCommand({ Owners: ['self'], Filters: [{ Name: 'image-id', Values: [id] }] }), signal);
    const own = Images.flatMap(({ BlockDeviceMappings = [] }) => BlockDeviceMappings.flatMap(({ Ebs }) => Ebs?.SnapshotId ?? []));
    // Whoever comes after a run that died here finds them by their tags: the image knows them no more.
    if (own.length > 0) await region.call('tags', new sdk.CreateTagsCommand({ Resources: own, Tags: tagsFor(cluster, name) }), signal);
    for (const disk of own) disks.add(disk);
    await region.callUnless(['InvalidAMIID.NotFound', 'InvalidAMIID.Unavailable'], 'mutate', new sdk.DeregisterImageCommand({ ImageId: id }), signal);
  }
  for (const SnapshotId of disks) await region.callUnless(['InvalidSnapshot.NotFound'], 'mutate', new sdk.DeleteSnapshotCommand({ SnapshotId }), signal);
}
