/**
 * Starting instances in batches. A batch is one RunInstances call; its members' names stand in one tag of all of them, and each takes the
 * name at its launch index, so that a machine has its name from its first moment, whatever becomes of the tagging that follows.
 */
import { createHash } from 'node:crypto';
import type * as Sdk from '@aws-sdk/client-ec2';
import { BeltError } from '../../src/errors.ts';
import type { CreateOrder, OrderedMachine } from '../../src/provision/driver.ts';
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

/** `node1 node2 node3 x` → `node1+2,x`, `node1 node4 node7` → `node1+2/3`: names that follow by counting are only counted. */
export function encodeNames(names: readonly string[]): string {
  const parts: string[] = [];
  for (let at = 0; at < names.length; ) {
    const first = names[at] as string;
    const step = stepBetween(first, names[at + 1]);
    let more = 0;
    while (step !== null && names[at + more + 1] === counted(first, (more + 1) * step)) more += 1;
    parts.push(more === 0 ? first : `${first}+${more}${step === 1 ? '' : `/${step}`}`);
    at += more + 1;
  }
  return parts.join(',');
}

/** The names an encoded tag says, at most {@link BATCH} a part. */
export function decodeNames(text: string): string[] {
  return text.split(',').flatMap((part) => {
    const [, first = part, more = '0', step = '1'] = /^([^+]*)\+(\d{1,3})(?:\/(\d{1,9}))?$/.exec(part) ?? [];
    return Array.from({ length: Math.min(Number(more), BATCH) + 1 }, (_, n) => (n === 0 ? first : (counted(first, n * Number(step)) ?? first)));
  });
}

const numbered = (name: string): RegExpExecArray | null => /^(.*?)(\d{1,9})$/.exec(name);

function stepBetween(one: string, next: string | undefined): number | null {
  const [a, b] = [numbered(one), next === undefined ? null : numbered(next)];
  if (a === null || b === null || a[1] !== b[1]) return null;
  const step = Number(b[2]) - Number(a[2]);
  return step > 0 && counted(one, step) === next ? step : null;
}

/** The name `by` further on, its padding kept; null for a name without a number. */
function counted(name: string, by: number): string | null {
  const match = numbered(name);
  return match === null ? null : `${match[1]}${String(Number(match[2]) + by).padStart((match[2] as string).length, '0')}`;
}

/** The same for the same order, names and place: EC2 then answers with the instances it has made already (at most 64 characters). */
export function clientToken(order: string, batch: Batch, type: string): string {
  return createHash('sha256').update(JSON.stringify([order, batch.region, batch.zone, type, batch.names])).digest('hex');
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
