/** A machine of the docker driver as a container: the labels that make it findable, and the way back from a container to a machine. Pure. */
import type { ContainerCreateOptions, ContainerInspectInfo } from 'dockerode';

import type { ClusterTag, CreateOrder, Machine, MachineStatus, MachineType, OrderedMachine } from '../../src/provision/driver.ts';
import type { Placed } from './addresses.ts';

const L = {
  cluster: 'belt.cluster', clusterId: 'belt.cluster-id', order: 'belt.order', name: 'belt.name', region: 'belt.region', zone: 'belt.zone',
  type: 'belt.type', image: 'belt.image', address: 'belt.address', tag: 'belt.tag.',
} as const;
export const LABEL = L;

/** What the driver calls its one image when nobody names another. */
export const DEFAULT_IMAGE = 'debian-12';

/** The sizes on offer: memory as a limit, processors as a share. Nothing costs anything. */
export const TYPES: readonly MachineType[] = ([
  ['512mb', 512, 1], ['1gb', 1024, 1], ['2gb', 2048, 2], ['4gb', 4096, 2], ['8gb', 8192, 4], ['16gb', 16384, 8], ['32gb', 32768, 16], ['64gb', 65536, 32],
] as const).map(([name, memoryMb, vcpus]) => ({ name, memoryMb, vcpus, pricePerHour: 0, regions: null }));

/** The container's name: unique in the engine, so that a machine cannot be made twice. */
export function containerName(cluster: ClusterTag, machine: string): string {
  return `belt-${cluster.clusterId.slice(0, 8)}-${machine}`;
}

/** The label filter that finds a cluster's containers and networks, of one order where it is given. */
export function clusterFilter(cluster: ClusterTag, order?: string): { label: string[] } {
  return { label: [`${L.clusterId}=${cluster.clusterId}`, ...(order === undefined ? [] : [`${L.order}=${order}`])] };
}

export function placeOf(labels: Readonly<Record<string, string>>): Placed {
  return { region: labels[L.region] ?? '', address: labels[L.address] ?? '0.0.0.0' };
}

/** What of its limits the engine of the host can enforce, and how its control groups are laid out. */
export interface HostFacts {
  readonly memoryLimit: boolean;
  readonly cpuQuota: boolean;
  readonly cpus: number;
  readonly cgroupVersion: 1 | 2;
}

/** Limits of a type; the engine refuses more processors than it has. */
export function limits(type: MachineType, host: HostFacts): { Memory?: number; MemorySwap?: number; NanoCpus?: number } {
  const bytes = type.memoryMb * 2 ** 20;
  return {
    ...(host.memoryLimit ? { Memory: bytes, MemorySwap: bytes } : {}),
    ...(host.cpuQuota ? { NanoCpus: Math.min(type.vcpus, host.cpus) * 1e9 } : {}),
  };
}

export interface Placement {
  readonly machine: OrderedMachine;
  readonly address: string;
  readonly type: MachineType;
  readonly imageTag: string;
  readonly network: string;
}

/**
 * The container that is a machine. Not privileged: where the engine itself lacks a capability (CI machines without SYS_RESOURCE) a privileged
 * container does not start, and all capabilities but that one, without the masks on /proc, is enough for systemd and an engine inside.
 */
export function containerSpec(order: CreateOrder, placement: Placement, host: HostFacts): ContainerCreateOptions {
  const { machine, address, type } = placement;
  const tags = Object.fromEntries(Object.entries(order.tags).map(([key, value]) => [L.tag + key, value]));
  return {
    name: containerName(order, machine.name),
    Image: placement.imageTag,
    Hostname: machine.name,
    Cmd: ['/usr/local/sbin/boot'],
    Env: ['container=docker', `AUTHORIZED_KEYS=${order.sshPublicKeys.join('\n')}`],
    // systemd shuts down in order on this signal; it ignores SIGTERM.
    StopSignal: 'SIGRTMIN+3',
    Labels: {
      ...tags, [L.cluster]: order.cluster, [L.clusterId]: order.clusterId, [L.order]: order.id, [L.name]: machine.name, [L.region]: machine.region,
      ...(machine.zone === null ? {} : { [L.zone]: machine.zone }), [L.type]: type.name, [L.image]: order.image ?? DEFAULT_IMAGE, [L.address]: address,
    },
    // overlay2 does not stack on overlay: what an engine inside stores lies on volumes of the machine's own, removed with it.
    Volumes: { '/var/lib/docker': {}, '/var/lib/containerd': {} },
    HostConfig: {
      ...limits(type, host),
      CapAdd: ['ALL'],
      CapDrop: ['SYS_RESOURCE'],
      SecurityOpt: ['seccomp=unconfined', 'apparmor=unconfined'],
      MaskedPaths: [],
      ReadonlyPaths: [],
      // Version 1: a private view of control groups breaks the engine inside. Version 2: the private view is right, and `boot` makes it writable.
      ...(host.cgroupVersion === 1 ? { CgroupnsMode: 'host', Binds: ['/sys/fs/cgroup:/sys/fs/cgroup:rw'] } : { CgroupnsMode: 'private' }),
      Tmpfs: { '/run': '', '/tmp': '' },
      LogConfig: { Type: 'none', Config: {} },
      RestartPolicy: { Name: 'no' },
    },
    NetworkingConfig: { EndpointsConfig: { [placement.network]: { IPAMConfig: { IPv4Address: address } } } },
  };
}

function statusOf(state: ContainerInspectInfo['State']): MachineStatus {
  if (state.Paused) return 'off';
  if (state.Running) return 'active';
  if (state.Status === 'created' || state.Restarting) return 'new';
  return state.Dead ? 'error' : 'off';
}

/** The machine a container is. The size is what the engine enforces now (a resize changes it), else what was asked for. */
export function toMachine(info: ContainerInspectInfo): Machine {
  const labels = info.Config.Labels;
  const memoryMb = (info.HostConfig.Memory ?? 0) / 2 ** 20;
  const size = TYPES.find((type) => type.memoryMb === memoryMb) ?? TYPES.find((type) => type.name === labels[L.type]);
  const region = labels[L.region] ?? 'unknown';
  const zone = labels[L.zone];
  const address = labels[L.address] ?? null;
  const tags = Object.entries(labels).filter(([key]) => key.startsWith(L.tag)).map(([key, value]) => [key.slice(L.tag.length), value]);
  return {
    name: labels[L.name] ?? info.Name.replace(/^\//, ''),
    driver: 'docker',
    id: info.Id,
    status: statusOf(info.State),
    publicIpv4: address,
    privateIpv4: address,
    sshPort: 22,
    sshUser: 'root',
    memoryMb: size?.memoryMb ?? null,
    region,
    datacenter: `docker:${region}${zone === undefined ? '' : `/${zone}`}`,
    image: labels[L.image] ?? null,
    size: size?.name ?? labels[L.type] ?? 'unknown',
    createdAt: new Date(info.Created).toISOString(),
    tags: { ...Object.fromEntries(tags), 'belt-order': labels[L.order] ?? '' },
  };
}
