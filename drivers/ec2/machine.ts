/** An instance as a machine. Its id is `region/i-…`, since ids are unique in a region only. */
import type * as Sdk from '@aws-sdk/client-ec2';
import type { Machine, MachineStatus, MachineType } from '../../src/provision/driver.ts';
import { decodeNames } from '../../src/provision/name-runs.ts';
import { OURS } from './api.ts';

export const regionOf = (id: string): string => id.split('/')[0] ?? '';
export const instanceId = (id: string): string => id.split('/')[1] ?? id;

/** What an instance does not say itself. */
export interface MachineFacts {
  readonly region: string;
  readonly sshUser: string;
  /** Undefined before the types were listed: their memory is not known then. */
  readonly types: readonly MachineType[] | undefined;
}

/** `names`: those of the call that made it; left out, they are read from its tag. */
export function machineOf(instance: Sdk.Instance, facts: MachineFacts, names?: readonly string[]): Machine {
  const { [OURS]: _ours, 'belt.names': encoded = '', Name = '', ...tags } = tagsOf(instance);
  const zone = instance.Placement?.AvailabilityZone;
  const network = instance.NetworkInterfaces?.[0];
  return {
    name: (names ?? decodeNames(encoded))[instance.AmiLaunchIndex ?? 0] ?? Name,
    driver: 'ec2',
    id: `${facts.region}/${instance.InstanceId}`,
    status: statusOf(instance),
    publicIpv4: instance.PublicIpAddress ?? network?.Association?.PublicIp ?? null,
    privateIpv4: instance.PrivateIpAddress ?? network?.PrivateIpAddress ?? null,
    sshPort: 22,
    sshUser: facts.sshUser,
    memoryMb: facts.types?.find((type) => type.name === instance.InstanceType)?.memoryMb ?? null,
    region: facts.region,
    datacenter: `ec2:${facts.region}${zone === undefined ? '' : `/${zone}`}`,
    image: instance.ImageId ?? null,
    size: instance.InstanceType ?? '',
    createdAt: instance.LaunchTime?.toISOString() ?? null,
    tags,
  };
}

export function tagsOf(tagged: { readonly Tags?: readonly Sdk.Tag[] | undefined }): Record<string, string> {
  return Object.fromEntries((tagged.Tags ?? []).map((tag) => [tag.Key ?? '', tag.Value ?? '']));
}

export function statusOf(instance: Sdk.Instance): MachineStatus {
  switch (instance.State?.Name) {
    case 'pending':
      return 'new';
    case 'running':
      return instance.PublicIpAddress === undefined && instance.PrivateIpAddress === undefined ? 'new' : 'active';
    case 'stopped':
      return 'off';
    default:
      return 'unknown';
  }
}
