/**
 * Starting instances in batches. A batch is one RunInstances call; its members' names stand in one tag of all of them, and each takes the
 * name at its launch index, so that a machine has its name from its first moment, whatever becomes of the tagging that follows.
 */
import { createHash } from 'node:crypto';
import type * as Sdk from '@aws-sdk/client-ec2';
import { BeltError } from '../../src/errors.ts';
import type { CreateOrder, OrderedMachine } from '../../src/provision/driver.ts';
import { decodeNames, encodeNames } from '../../src/provision/name-runs.ts';
import { OURS } from './api.ts';
import type { Image } from './network.ts';
import type { Ec2Options } from './options.ts';

/** Machines asked for in one call: EC2 advises several calls of 100 over one of 500. */
export const BATCH = 100;
const TAG_VALUE_MAX = 256;
const USER_DATA_MAX = 16_384;

/** Machines that one call asks for: of one region and zone, with names that fit one tag. */
export interface Batch {
  readonly region: string;
  readonly zone: string | null;
  readonly names: readonly string[];
  /** Another type than the order's: what it fell back to. */
  readonly type?: string;
}

/** Cuts the machines into batches. */
export function batchesOf(machines: readonly OrderedMachine[]): Batch[] {
  const batches: { region: string; zone: string | null; names: string[] }[] = [];
  for (const { region, zone, name } of machines) {
    const open = batches.findLast((batch) => batch.region === region && batch.zone === zone);
    if (open !== undefined && open.names.length < BATCH && encodeNames([...open.names, name]).length <= TAG_VALUE_MAX) open.names.push(name);
    else batches.push({ region, zone, names: [name] });
  }
  return batches;
}

/** The same for the same order, names and place: EC2 then answers with the instances it has made already (at most 64 characters). */
export function clientToken(order: string, batch: Batch, type: string): string {
  return createHash('sha256').update(JSON.stringify([order, batch.region, batch.zone, type, batch.names])).digest('hex');
}

/** The calls of the order that made these instances, as they were made: each instance carries its batch's names and the token. */
export function batchesBegun(order: string, region: string, instances: readonly Sdk.Instance[]): Batch[] {
  const begun = new Map<string, Batch>();
  for (const { ClientToken: token, InstanceType: type = '', Placement, Tags } of instances) {
    const text = Tags?.find((tag) => tag.Key === 'belt.names')?.Value;
    if (token === undefined || text === undefined || begun.has(token)) continue;
    const names = decodeNames(text);
    const batch = [null, Placement?.AvailabilityZone ?? null].map((zone) => ({ region, zone, names, type })).find((one) => clientToken(order, one, type) === token);
    if (batch !== undefined) begun.set(token, batch);
  }
  return [...begun.values()];
}

export interface Place {
  readonly image: Image;
  readonly keyName: string | undefined;
  readonly groups: readonly string[];
}

/** The call for a batch. Throws `config` for user data larger than EC2 takes. */
export function runInput(order: CreateOrder, batch: Batch, type: string, place: Place, options: Ec2Options): Sdk.RunInstancesCommandInput {
  const userData = order.userData === null ? undefined : Buffer.from(order.userData, 'utf8');
  if (userData !== undefined && userData.length > USER_DATA_MAX) throw new BeltError('config', `the user data has ${userData.length} bytes, EC2 takes ${USER_DATA_MAX}`);
  const count = batch.names.length;
  const Tags = Object.entries({ ...order.tags, [OURS]: '1', 'belt.cluster-id': order.clusterId, 'belt.cluster': order.cluster, 'belt.order': order.id, 'belt.names': encodeNames(batch.names), ...(count === 1 ? { Name: batch.names[0] as string } : {}) }).map(([Key, Value]) => ({ Key, Value }));
  return {
    ImageId: place.image.id,
    InstanceType: type as Sdk._InstanceType,
    MinCount: options.whole_batches ? count : 1,
    MaxCount: count,
    ClientToken: clientToken(order.id, batch, type),
    ...(place.keyName === undefined ? {} : { KeyName: place.keyName }),
    ...(place.groups.length === 0 ? {} : { SecurityGroupIds: [...place.groups] }),
    ...(options.subnet === undefined ? {} : { SubnetId: options.subnet }),
    ...(batch.zone === null ? {} : { Placement: { AvailabilityZone: batch.zone } }),
    ...(userData === undefined ? {} : { UserData: userData.toString('base64') }),
    ...(order.spot ? { InstanceMarketOptions: { MarketType: 'spot' as const, SpotOptions: { SpotInstanceType: 'one-time' as const } } } : {}),
    ...(options.disk_gb === undefined ? {} : { BlockDeviceMappings: [{ DeviceName: place.image.rootDevice, Ebs: { VolumeSize: options.disk_gb, VolumeType: 'gp3' as const, DeleteOnTermination: true } }] }),
    // IMDSv2 only, and not from inside containers: they are one hop further away.
    MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 1 },
    TagSpecifications: [
      { ResourceType: 'instance', Tags },
      { ResourceType: 'volume', Tags: Tags.filter((tag) => tag.Key !== 'belt.names') },
    ],
  };
}
