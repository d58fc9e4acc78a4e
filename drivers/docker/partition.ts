/**
 * Cutting a datacenter off, for drills and tests. Frames between a region's slices and every other machine are dropped where the host's
 * bridge forwards them, so one pair of rules a slice holds for all machines of the region, also for those that start later, and the
 * operator (on the host) still reaches every machine. The rules are set from a helper container in the host's network, so that no root
 * is needed beyond what talking to the engine gives; they are the bridge's own and never touch the host's firewall.
 */
import type Docker from 'dockerode';

import { BeltError } from '../../src/errors.ts';
import type { ClusterTag } from '../../src/provision/driver.ts';
import { slicesOf } from './addresses.ts';
import { hasStatus } from './engine-errors.ts';
import { clusterFilter, placeOf } from './machine.ts';

/** Shell that brings the rules of one slice to the wanted state, however often it runs. Pure. */
export function partitionScript(slice: string, cut: boolean): string {
  const rules = [`-p IPv4 --ip-src ${slice} --ip-dst ! ${slice} -j DROP`, `-p IPv4 --ip-dst ${slice} --ip-src ! ${slice} -j DROP`];
  const removal = rules.map((rule) => `while ebtables-nft -D FORWARD ${rule} 2>/dev/null; do :; done`);
  return [...removal, ...(cut ? rules.map((rule) => `ebtables-nft -I FORWARD ${rule}`) : [])].join(' && ');
}

async function inHostNetwork(docker: Docker, image: string, script: string): Promise<void> {
  const helper = await docker.createContainer({
    Image: image, Cmd: ['/bin/sh', '-ec', script], HostConfig: { NetworkMode: 'host', CapAdd: ['NET_ADMIN'] },
  });
  try {
    await helper.start();
    const { StatusCode: status } = (await helper.wait()) as { StatusCode: number };
    if (status !== 0) {
      const log = await helper.logs({ stdout: true, stderr: true });
      throw new BeltError('driver', `the bridge's rules cannot be set: ${log.toString('utf8').replace(/[^\x20-\x7e]+/g, ' ').trim()}`);
    }
  } finally {
    await helper.remove({ force: true, v: true }).catch(() => undefined);
  }
}

/** A cut leaves a container that never runs, so that whoever removes the cluster knows which rules to take away. */
const MARK = { cluster: 'belt.cut-cluster', slices: 'belt.cut-slices' } as const;

function markName(cluster: ClusterTag, region: string): string {
  return `belt-${cluster.clusterId.slice(0, 8)}-cut-${region}`;
}

async function removeMark(docker: Docker, name: string): Promise<void> {
  await docker.getContainer(name).remove({ force: true, v: true }).catch((error: unknown) => {
    if (!hasStatus(error, 404)) throw error;
  });
}

/** Cuts every machine of the region off from the cluster's other regions (`cut`), or brings them back. Safe to repeat. */
export async function partition(docker: Docker, cluster: ClusterTag, region: string, cut: boolean): Promise<void> {
  const containers = await docker.listContainers({ all: true, filters: clusterFilter(cluster) });
  const slices = slicesOf(region, containers.map((container) => placeOf(container.Labels)));
  const image = containers[0]?.Image;
  if (slices.length === 0 || image === undefined) throw new BeltError('driver', `no machine of cluster '${cluster.cluster}' stands in region '${region}'`);
  const name = markName(cluster, region);
  if (cut) {
    await removeMark(docker, name);
    await docker.createContainer({ name, Image: image, Cmd: ['true'], Labels: { [MARK.cluster]: cluster.clusterId, [MARK.slices]: slices.join(',') } });
  }
  await inHostNetwork(docker, image, slices.map((slice) => partitionScript(slice, cut)).join(' && '));
  if (!cut) await removeMark(docker, name);
}

/** Takes away every rule that a partition of the cluster has left: the next cluster in the same addresses must not find them. */
export async function healAll(docker: Docker, clusterId: string): Promise<void> {
  for (const mark of await docker.listContainers({ all: true, filters: { label: [`${MARK.cluster}=${clusterId}`] } })) {
    const slices = (mark.Labels[MARK.slices] ?? '').split(',').filter((slice) => slice !== '');
    await inHostNetwork(docker, mark.Image, slices.map((slice) => partitionScript(slice, false)).join(' && '));
    await removeMark(docker, mark.Id);
  }
}
