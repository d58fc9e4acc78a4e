/** What a cluster's instances need in a region: an image, a key pair and a security group, found by name or made once. */
import { createHash } from 'node:crypto';
import type * as Sdk from '@aws-sdk/client-ec2';
import { BeltError } from '../../src/errors.ts';
import { pollDelayMs } from '../../src/provision/poll.ts';
import type { Pace } from '../../src/provision/rate-limit.ts';
import { OURS, type Ec2Region } from './api.ts';
import type { Ec2Options } from './options.ts';

/** Canonical's account: images of others may carry any name, so the owner is always part of the question. */
const CANONICAL = '099720109477';
const UBUNTU = 'ubuntu/images/hvm-ssd*/ubuntu-*-24.04-amd64-server-*';

/** An ending instance holds its group for about a minute. */
const ENDING_MS = 180_000;

export const groupName = (clusterId: string): string => `belt-${clusterId.slice(0, 12)}`;
export const keyName = (publicKey: string): string => `belt-${createHash('sha256').update(publicKey.trim().split(/\s+/)[1] ?? '').digest('hex').slice(0, 16)}`;
const ownTags = (clusterId: string): Sdk.Tag[] => [{ Key: OURS, Value: '1' }, { Key: 'belt.cluster-id', Value: clusterId }];

export interface Image {
  readonly id: string;
  /** Name of the root disk in this image: a disk of another name would be a second one. */
  readonly rootDevice: string;
}

/** The image to start: the given one, or Canonical's newest Ubuntu 24.04. */
export async function findImage(region: Ec2Region, image: string | undefined, signal: AbortSignal): Promise<Image> {
  const input = image === undefined ? { Owners: [CANONICAL], Filters: [{ Name: 'name', Values: [UBUNTU] }, { Name: 'state', Values: ['available'] }] } : { ImageIds: [image] };
  const reply = await region.call<Sdk.DescribeImagesCommandOutput>('describe', new region.sdk.DescribeImagesCommand(input), signal);
  const newest = (reply.Images ?? []).toSorted((a, b) => (b.CreationDate ?? '').localeCompare(a.CreationDate ?? ''))[0];
  if (newest?.ImageId === undefined) throw new BeltError('config', `no image ${image ?? 'of Ubuntu 24.04'} in ${region.name}`, { next: 'set image: to an ami-… of that region' });
  return { id: newest.ImageId, rootDevice: newest.RootDeviceName ?? '/dev/sda1' };
}

/**
 * The name of the account's key pair that an instance gets, undefined where there is no key at all. EC2 takes one: the one that the configuration
 * names, else the first of the keys, imported where it is missing. The user data lets the others in. Throws `config`.
 */
export async function ensureKeyPair(region: Ec2Region, clusterId: string, publicKeys: readonly string[], options: Ec2Options, signal: AbortSignal): Promise<string | undefined> {
  const find = async (key: string, value: string): Promise<string | undefined> => {
    const command = new region.sdk.DescribeKeyPairsCommand({ Filters: [{ Name: key, Values: [value] }] });
    return (await region.call<Sdk.DescribeKeyPairsCommandOutput>('describe', command, signal)).KeyPairs?.[0]?.KeyName;
  };
  const { ssh_key_fingerprint: fingerprint } = options;
  if (fingerprint !== undefined) {
    const named = await find('fingerprint', fingerprint);
    if (named !== undefined) return named;
    throw new BeltError('config', `no key pair of ${region.name} has the fingerprint ${fingerprint}`, { next: 'compare ssh_key_fingerprint with the key pairs of that region' });
  }
  const [publicKey] = publicKeys;
  if (publicKey === undefined) return undefined;
  const name = keyName(publicKey);
  if ((await find('key-name', name)) !== undefined) return name;
  const command = new region.sdk.ImportKeyPairCommand({ KeyName: name, PublicKeyMaterial: Buffer.from(publicKey.trim(), 'utf8'), TagSpecifications: [{ ResourceType: 'key-pair', Tags: ownTags(clusterId) }] });
  await region.callUnless(['InvalidKeyPair.Duplicate'], 'mutate', command, signal);
  return name;
}

/** The id of the cluster's security group with the swarm's ports open, made where it is missing. */
export async function ensureGroup(region: Ec2Region, clusterId: string, options: Ec2Options, signal: AbortSignal): Promise<string> {
  const { sdk } = region;
  const vpc = await findVpc(region, options.subnet, signal);
  const find = async (): Promise<Sdk.SecurityGroup | undefined> => {
    const Filters = [{ Name: 'group-name', Values: [groupName(clusterId)] }, { Name: 'vpc-id', Values: [vpc] }];
    const reply = await region.call<Sdk.DescribeSecurityGroupsCommandOutput>('describe', new sdk.DescribeSecurityGroupsCommand({ Filters }), signal);
    return reply.SecurityGroups?.[0];
  };
  let group = await find();
  if (group === undefined) {
    const input = { GroupName: groupName(clusterId), Description: 'belt: ports of a Docker Swarm', VpcId: vpc, TagSpecifications: [{ ResourceType: 'security-group' as const, Tags: ownTags(clusterId) }] };
    await region.callUnless(['InvalidGroup.Duplicate'], 'mutate', new sdk.CreateSecurityGroupCommand(input), signal);
    group = await find();
  }
  if (group?.GroupId === undefined) throw new BeltError('driver_unavailable', `EC2 does not show the new security group in ${region.name} yet`);
  await completeGroup(region, group, options, signal);
  return group.GroupId;
}

/** The rules the group lacks, in one call: a crash left it without any, or `allow_from` names new addresses. One rule that is there already would refuse the whole call. */
export async function completeGroup(region: Ec2Region, group: Sdk.SecurityGroup, options: Ec2Options, signal: AbortSignal): Promise<void> {
  const IpPermissions = missingPermissions(group, options);
  if (IpPermissions.length === 0) return;
  await region.callUnless(['InvalidPermission.Duplicate'], 'mutate', new region.sdk.AuthorizeSecurityGroupIngressCommand({ GroupId: group.GroupId, IpPermissions }), signal);
}

export function missingPermissions(group: Sdk.SecurityGroup, options: Ec2Options): Sdk.IpPermission[] {
  const have = new Set((group.IpPermissions ?? []).flatMap(sourcesOf).map(([rule]) => rule));
  return permissions(group.GroupId ?? '', options.allow_from ?? []).flatMap(sourcesOf).filter(([rule]) => !have.has(rule)).map(([, permission]) => permission);
}

/** A permission for each of its sources, with a text that is the same for the same rule: EC2 tells several of one port in one. */
function sourcesOf({ IpProtocol, FromPort, ToPort, IpRanges = [], UserIdGroupPairs = [] }: Sdk.IpPermission): [string, Sdk.IpPermission][] {
  const port = { IpProtocol, ...(FromPort === undefined ? {} : { FromPort }), ...(ToPort === undefined ? {} : { ToPort }) };
  // Only these have ports; for the rest EC2 tells none, or -1.
  const ports = IpProtocol === 'tcp' || IpProtocol === 'udp' ? `${FromPort} ${ToPort}` : '';
  const text = (source: string | undefined): string => `${IpProtocol} ${ports} ${source}`;
  return [
    ...IpRanges.map(({ CidrIp }): [string, Sdk.IpPermission] => [text(CidrIp), { ...port, IpRanges: [{ CidrIp }] }]),
    ...UserIdGroupPairs.map(({ GroupId }): [string, Sdk.IpPermission] => [text(GroupId), { ...port, UserIdGroupPairs: [{ GroupId }] }]),
  ];
}

async function findVpc(region: Ec2Region, subnet: string | undefined, signal: AbortSignal): Promise<string> {
  const { sdk } = region;
  if (subnet !== undefined) {
    const reply = await region.call<Sdk.DescribeSubnetsCommandOutput>('describe', new sdk.DescribeSubnetsCommand({ SubnetIds: [subnet] }), signal);
    const vpc = reply.Subnets?.[0]?.VpcId;
    if (vpc !== undefined) return vpc;
  }
  const reply = await region.call<Sdk.DescribeVpcsCommandOutput>('describe', new sdk.DescribeVpcsCommand({ Filters: [{ Name: 'is-default', Values: ['true'] }] }), signal);
  const vpc = reply.Vpcs?.find((candidate) => candidate.IsDefault === true)?.VpcId ?? reply.Vpcs?.[0]?.VpcId;
  if (vpc === undefined) throw new BeltError('config', `${region.name} has no default VPC`, { next: 'set subnet: to a subnet of yours' });
  return vpc;
}

/** Ports of the design's section 8: operators reach 22, 2376 and 2378, members everything of the swarm, the world nothing it was not given. */
export function permissions(group: string, allowFrom: readonly string[]): Sdk.IpPermission[] {
  const members = { UserIdGroupPairs: [{ GroupId: group }] };
  const cidr = (from: string): { CidrIp: string } => ({ CidrIp: from === 'anywhere' ? '0.0.0.0/0' : from.includes('/') ? from : `${from}/32` });
  const operators = { IpRanges: allowFrom.map(cidr) };
  const named = { IpRanges: allowFrom.filter((from) => from !== 'anywhere').map(cidr) };
  const port = (protocol: string, number: number, source: object): Sdk.IpPermission => ({ IpProtocol: protocol, FromPort: number, ToPort: number, ...source });
  return [
    ...(operators.IpRanges.length > 0 ? [port('tcp', 22, operators), port('tcp', 2378, operators)] : []),
    ...(named.IpRanges.length > 0 ? [port('tcp', 2376, named)] : []),
    port('tcp', 2378, members),
    port('tcp', 2377, members),
    port('tcp', 7946, members),
    port('udp', 7946, members),
    port('udp', 4789, members),
    // Encrypted overlay networks are ESP.
    port('50', -1, members),
  ];
}

/** What the cluster has in the region besides its instances. */
export async function networkOf(region: Ec2Region, clusterId: string, signal: AbortSignal): Promise<{ groups: Sdk.SecurityGroup[]; keys: Sdk.KeyPairInfo[] }> {
  const { sdk } = region;
  const Filters = [{ Name: 'tag:belt.cluster-id', Values: [clusterId] }];
  const groups = await region.call<Sdk.DescribeSecurityGroupsCommandOutput>('describe', new sdk.DescribeSecurityGroupsCommand({ Filters }), signal);
  const keys = await region.call<Sdk.DescribeKeyPairsCommandOutput>('describe', new sdk.DescribeKeyPairsCommand({ Filters }), signal);
  return { groups: groups.SecurityGroups ?? [], keys: keys.KeyPairs ?? [] };
}

/** Removes what the cluster had in the region. A group is held by instances until they have ended, which is waited for: once the cluster is forgotten nobody would look for it. */
export async function removeNetwork(region: Ec2Region, clusterId: string, pace: Pace, signal: AbortSignal): Promise<void> {
  const { groups, keys } = await networkOf(region, clusterId, signal);
  for (const { KeyName } of keys) await removeKeyPair(region, KeyName ?? '', signal);
  for (const { GroupId } of groups) await removeGroup(region, GroupId ?? '', pace, signal);
}

export async function removeKeyPair(region: Ec2Region, name: string, signal: AbortSignal): Promise<void> {
  await region.call('mutate', new region.sdk.DeleteKeyPairCommand({ KeyName: name }), signal);
}

export async function removeGroup(region: Ec2Region, id: string, pace: Pace, signal: AbortSignal): Promise<void> {
  const start = pace.now();
  for (let poll = 0; ; poll += 1) {
    try {
      return await region.callUnless(['InvalidGroup.NotFound'], 'mutate', new region.sdk.DeleteSecurityGroupCommand({ GroupId: id }), signal);
    } catch (error) {
      if (!(error instanceof BeltError) || !error.message.includes('DependencyViolation:') || pace.now() - start > ENDING_MS) throw error;
      await pace.sleep(pollDelayMs(poll, 1), signal);
    }
  }
}
