/** Snapshots of instances are images: EC2 takes a name once in an account and region, so that asking again makes nothing twice. An image lies on snapshots of disks, which go after it. */
import type * as Sdk from '@aws-sdk/client-ec2';
import { BeltError, isBeltError, type Outcome } from '../../src/errors.ts';
import type { ClusterTag, Machine } from '../../src/provision/driver.ts';
import { fanOut } from '../../src/provision/fan-out.ts';
import { realPace } from '../../src/provision/rate-limit.ts';
import { nameOnCloud, readNameOnCloud, SNAPSHOT_MS, type Snapshot, snapshotName, snapshotPollMs, type Snapshots } from '../../src/provision/snapshots.ts';
import { type Ec2Ports, type Ec2Region, OURS } from './api.ts';
import { instanceId, tagsOf } from './machine.ts';
import type { Ec2Options } from './options.ts';
import { CONCURRENCY, Regions } from './regions.ts';

/** On images, and on disk snapshots whose image is about to go: which snapshot of belt's they are. */
const WHICH = 'belt.snapshot';

export function createSnapshots(options: Ec2Options, ports: Ec2Ports = {}): Snapshots {
  const regions = new Regions(options, ports);
  return {
    async *take(cluster, machines, label, signal): AsyncIterable<Outcome<Snapshot>> {
      const pace = ports.pace ?? realPace;
      const start = pace.now();
      const waiting = new Map(machines.map((machine) => [snapshotName(machine.name, label), machine]));
      const there = await regions.ask(new Set(machines.map(({ region }) => region)), (region) => listIn(region, cluster, signal));
      const notes = new Map(there.found.map(({ name }) => [name, `${name} is there already`]));
      const missing = machines.filter(({ name }) => !notes.has(snapshotName(name, label)));
      for await (const asked of fanOut(missing, CONCURRENCY, async (machine) => [await ask(await regions.open(machine.region), cluster, machine, label, signal)])) {
        const name = snapshotName(asked.name, label);
        if (asked.ok && asked.note !== undefined) notes.set(name, asked.note);
        if (asked.ok) continue;
        waiting.delete(name);
        yield asked;
      }
      for (let poll = 0; waiting.size > 0; poll += 1) {
        const { found } = await regions.ask(new Set([...waiting.values()].map(({ region }) => region)), (region) => listIn(region, cluster, signal));
        for (const snapshot of found) {
          const machine = waiting.get(snapshot.name);
          if (machine === undefined || snapshot.status === 'new') continue;
          waiting.delete(snapshot.name);
          if (snapshot.status === 'ready') yield { name: machine.name, ok: true, value: snapshot, note: notes.get(snapshot.name) };
          else yield { name: machine.name, ok: false, error: new BeltError('driver', 'EC2 could not make an image of it', { machine: machine.name, next: `belt snapshot rm ${snapshot.name}, then take it again` }) };
        }
        if (waiting.size === 0) return;
        if (pace.now() - start > SNAPSHOT_MS) {
          for (const { name } of waiting.values()) yield { name, ok: false, error: new BeltError('timeout', `its snapshot is not ready after ${SNAPSHOT_MS / 60_000} minutes`, { machine: name, next: 'belt snapshot ls' }) };
          return;
        }
        await pace.sleep(snapshotPollMs(poll), signal);
      }
    },
    async list(cluster, signal): Promise<Snapshot[]> {
      const { found, down } = await regions.ask(await regions.searched(signal), (region) => listIn(region.look(), cluster, signal));
      const [silent] = down;
      if (silent !== undefined && found.length === 0) throw silent[1];
      return [...found];
    },
    async remove(cluster, snapshots, signal): Promise<Outcome[]> {
      const outcomes: Outcome[] = [];
      const run = async ({ name, id, regions: [place = ''] }: Snapshot): Promise<Outcome[]> => {
        try {
          await remove(await regions.open(place), cluster, id, name, signal);
          return [{ name, ok: true, value: undefined }];
        } catch (error) {
          if (!isBeltError(error) || error.code === 'interrupted') throw error;
          return [{ name, ok: false, error }];
        }
      };
      for await (const outcome of fanOut(snapshots, CONCURRENCY, run)) outcomes.push(outcome);
      return outcomes;
    },
  };
}

/** Without a reboot: a manager that goes down for its picture could cost the quorum. What is on the disk then is what a power cut would leave. */
async function ask(region: Ec2Region, cluster: ClusterTag, machine: Machine, label: string, signal: AbortSignal): Promise<Outcome> {
  const name = snapshotName(machine.name, label);
  const Tags = tagsFor(cluster, name);
  const command = new region.sdk.CreateImageCommand({
    InstanceId: instanceId(machine.id), Name: nameOnCloud(cluster, machine.name, label), NoReboot: true,
    TagSpecifications: [{ ResourceType: 'image', Tags }],
  });
  try {
    await region.call('mutate', command, signal);
    return { name: machine.name, ok: true, value: undefined };
  } catch (error) {
    if (!isBeltError(error) || error.code === 'interrupted') throw error;
    return error.message.includes('InvalidAMIName.Duplicate:') ? { name: machine.name, ok: true, value: undefined, note: `${name} is there already` } : { name: machine.name, ok: false, error };
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
