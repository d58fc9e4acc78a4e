/** A droplet as a machine. */
import type { Machine, MachineStatus } from '../../src/provision/driver.ts';
import type { Droplet } from './api.ts';
import { clusterTag, readTags } from './tags.ts';

export function machineOf(droplet: Droplet, sshUser: string): Machine {
  const address = (type: string): string | null => droplet.networks.v4.find((network) => network.type === type)?.ip_address ?? null;
  return {
    name: droplet.name,
    driver: 'digitalocean',
    id: String(droplet.id),
    status: statusOf(droplet),
    publicIpv4: address('public'),
    privateIpv4: address('private'),
    sshPort: 22,
    sshUser,
    memoryMb: droplet.memory,
    region: droplet.region.slug,
    datacenter: `digitalocean:${droplet.region.slug}`,
    image: droplet.image.slug ?? droplet.image.name,
    size: droplet.size_slug,
    createdAt: droplet.created_at,
    tags: readTags(droplet.tags),
  };
}

export function statusOf(droplet: Droplet): MachineStatus {
  if (droplet.status === 'active') return droplet.networks.v4.length > 0 ? 'active' : 'new';
  return droplet.status === 'new' || droplet.status === 'off' ? droplet.status : 'unknown';
}

/** The tag of the cluster whose droplets are exactly these, null where they are not. */
export function wholeCluster(before: ReadonlyMap<string, Droplet>, ids: readonly string[]): string | null {
  const clusterId = readTags((before.get(ids[0] as string) as Droplet).tags)['belt.cluster-id'];
  if (clusterId === undefined) return null;
  const tag = clusterTag(clusterId);
  const members = [...before.values()].filter((droplet) => droplet.tags.includes(tag));
  const asked = new Set(ids);
  return members.length === ids.length && members.every((droplet) => asked.has(String(droplet.id))) ? tag : null;
}
