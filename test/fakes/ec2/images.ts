/** Images and snapshots of disks: Canonical's one, and those made of instances. */
import { filtered, tagSet, texts, type Action } from './query.ts';
import { tagsOf } from './run-instances.ts';
import { Ec2Error, type OwnImage, type Region } from './state.ts';
import { textOf, type Xml } from './xml.ts';

/** The image every region of the fake has, owned by Canonical. */
export const FAKE_IMAGE = 'ami-0fa4e0000000000ff';
const CANONICAL = '099720109477';

const publicImage = (): Xml => ({ imageId: FAKE_IMAGE, imageOwnerId: CANONICAL, name: 'ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20261101', creationDate: '2026-11-01T00:00:00.000Z', architecture: 'x86_64', rootDeviceName: '/dev/sda1', imageState: 'available', isPublic: true });

function renderImage(region: Region, image: OwnImage): Xml {
  return {
    imageId: image.id, imageOwnerId: '123456789012', name: image.name, creationDate: new Date(image.madeMs).toISOString(), architecture: 'x86_64', rootDeviceName: '/dev/sda1', isPublic: false,
    imageState: region.now() < image.madeMs + region.options.bootMs ? 'pending' : 'available', tagSet: tagSet(image.tags),
    blockDeviceMapping: [{ deviceName: '/dev/sda1', ebs: { snapshotId: image.snapshot, volumeSize: 8 } }],
  };
}

const field = (holder: { id: string; tags: ReadonlyMap<string, string> }, name: string): string | undefined =>
  name.startsWith('tag:') ? holder.tags.get(name.slice(4)) : name === 'image-id' || name === 'snapshot-id' ? holder.id : undefined;

export const IMAGE_ACTIONS: Readonly<Record<string, Action>> = {
  DescribeImages: (region, p) => {
    region.spend('describe');
    const own = [...region.images.values()];
    if (texts(p['Owner']).includes('self')) return { imagesSet: filtered(own, p, field).map((image) => renderImage(region, image)) };
    const [wanted] = texts(p['ImageId']);
    const found = own.find(({ id }) => id === wanted);
    if (found !== undefined) return { imagesSet: [renderImage(region, found)] };
    if (wanted !== undefined && wanted !== FAKE_IMAGE) throw new Ec2Error('InvalidAMIID.NotFound', `The image id '[${wanted}]' does not exist`);
    return { imagesSet: [publicImage()] };
  },
  CreateImage: (region, p) => {
    region.spend('mutate');
    const instance = region.instances.get(textOf(p, 'InstanceId') ?? '');
    if (instance === undefined) throw new Ec2Error('InvalidInstanceID.NotFound', 'The instance does not exist');
    const name = textOf(p, 'Name') ?? '';
    if (!/^[\w ()[\]./'@-]{3,128}$/.test(name)) throw new Ec2Error('InvalidAMIName.Malformed', 'AMI names must be between 3 and 128 characters long');
    const there = [...region.images.values()].find((image) => image.name === name);
    if (there !== undefined) throw new Ec2Error('InvalidAMIName.Duplicate', `AMI name ${name} is already in use by AMI ${there.id}`);
    if (textOf(p, 'NoReboot') !== 'true') instance.arrivesMs = region.now() + region.options.bootMs;
    const snapshot = { id: region.newId('snap'), madeMs: region.now(), tags: tagsOf(p, 'snapshot') };
    const image = { id: region.newId('ami'), name, madeMs: region.now(), snapshot: snapshot.id, tags: tagsOf(p, 'image') };
    region.snapshots.set(snapshot.id, snapshot);
    region.images.set(image.id, image);
    return { imageId: image.id };
  },
  DeregisterImage: (region, p) => {
    region.spend('mutate');
    const id = textOf(p, 'ImageId') ?? '';
    if (!region.images.delete(id)) throw new Ec2Error('InvalidAMIID.NotFound', `The image id '[${id}]' does not exist`);
    return { return: true };
  },
  DescribeSnapshots: (region, p) => {
    region.spend('describe');
    const found = filtered([...region.snapshots.values()], p, field);
    return { snapshotSet: found.map(({ id, madeMs, tags }) => ({ snapshotId: id, volumeSize: 8, status: 'completed', startTime: new Date(madeMs).toISOString(), ownerId: '123456789012', tagSet: tagSet(tags) })) };
  },
  DeleteSnapshot: (region, p) => {
    region.spend('mutate');
    const id = textOf(p, 'SnapshotId') ?? '';
    if ([...region.images.values()].some(({ snapshot }) => snapshot === id)) throw new Ec2Error('InvalidSnapshot.InUse', `The snapshot ${id} is currently in use by an image`);
    if (!region.snapshots.delete(id)) throw new Ec2Error('InvalidSnapshot.NotFound', `The snapshot '${id}' does not exist.`);
    return { return: true };
  },
};
