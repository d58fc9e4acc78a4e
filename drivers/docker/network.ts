/** A cluster's network in the engine of the host: made with the first machine, removed with the last. */
import type Docker from 'dockerode';

import { BeltError } from '../../src/errors.ts';
import type { ClusterTag } from '../../src/provision/driver.ts';
import { formatSubnet, freeSubnets, parseSubnet, type Subnet } from './addresses.ts';
import { hasStatus, sentence } from './engine-errors.ts';
import { clusterFilter, LABEL } from './machine.ts';
import { healAll } from './partition.ts';

/** 4,096 addresses: fifteen slices of a region each. A bridge carries 1,023 machines in any case. */
const CLUSTER_BITS = 20;

export interface ClusterNetwork {
  readonly name: string;
  readonly subnet: Subnet;
}

export function networkName(cluster: ClusterTag): string {
  return `belt-${cluster.clusterId.slice(0, 8)}`;
}

type NetworkInfo = Awaited<ReturnType<Docker['listNetworks']>>[number];

function subnetsOf(info: NetworkInfo): Subnet[] {
  return (info.IPAM?.Config ?? []).flatMap((entry) => (entry.Subnet !== undefined && /^\d+\./.test(entry.Subnet) ? [parseSubnet(entry.Subnet)] : []));
}

/** The cluster's network, or null. */
export async function findNetwork(docker: Docker, cluster: ClusterTag): Promise<ClusterNetwork | null> {
  const [info] = await docker.listNetworks({ filters: clusterFilter(cluster) });
  const subnet = info === undefined ? undefined : subnetsOf(info)[0];
  return info === undefined || subnet === undefined ? null : { name: info.Name, subnet };
}

/** The cluster's network, made in the first free part of `pool` when it is not there. Another belt that takes the same part at that moment is given way to. */
export async function ensureNetwork(docker: Docker, cluster: ClusterTag, pool: string): Promise<ClusterNetwork> {
  const found = await findNetwork(docker, cluster);
  if (found !== null) return found;
  const taken = (await docker.listNetworks()).flatMap(subnetsOf);
  const name = networkName(cluster);
  for (const subnet of freeSubnets(parseSubnet(pool), CLUSTER_BITS, taken)) {
    try {
      await docker.createNetwork({
        Name: name, Driver: 'bridge', CheckDuplicate: true, IPAM: { Driver: 'default', Config: [{ Subnet: formatSubnet(subnet) }] },
        Labels: { [LABEL.cluster]: cluster.cluster, [LABEL.clusterId]: cluster.clusterId },
      });
      return { name, subnet };
    } catch (error) {
      if (!/overlap|pool/i.test(sentence(error))) throw error;
    }
  }
  throw new BeltError('driver_capacity', `no network of ${2 ** (32 - CLUSTER_BITS)} addresses is free in ${pool}`, {
    next: 'remove a cluster, or set docker.subnet in .belt.yml to a larger block',
  });
}

/** Removes the networks of `clusterIds` that no machine, running or not, belongs to any more, and what partitions left on them. */
export async function removeEmptyNetworks(docker: Docker, clusterIds: ReadonlySet<string>): Promise<void> {
  for (const clusterId of clusterIds) {
    const filters = { label: [`${LABEL.clusterId}=${clusterId}`] };
    if ((await docker.listContainers({ all: true, limit: 1, filters })).length > 0) continue;
    await healAll(docker, clusterId);
    for (const info of await docker.listNetworks({ filters })) {
      await docker.getNetwork(info.Id).remove().catch((error: unknown) => {
        if (!hasStatus(error, 404) && !/active endpoints/.test(sentence(error))) throw error;
      });
    }
  }
}
