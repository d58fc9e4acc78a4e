/** RunInstances as EC2 does it: idempotent by ClientToken, short of capacity, all or nothing below MinCount. */
import { createHash } from 'node:crypto';
import { listOf, textOf, type Form } from './xml.ts';
import { Ec2Error, TYPES, type Instance, type Region } from './state.ts';

type Params = { [key: string]: Form };

/** The instances of the call, new ones or those the same token made before. */
export function runInstances(region: Region, p: Params, images: ReadonlySet<string>): Instance[] {
  const min = Number(textOf(p, 'MinCount'));
  const max = Number(textOf(p, 'MaxCount'));
  const token = textOf(p, 'ClientToken') ?? '';
  const fingerprint = createHash('sha256').update(JSON.stringify({ ...p, ClientToken: '' })).digest('hex');
  region.spend('run');
  const before = region.tokens.get(token);
  if (token !== '' && before !== undefined) {
    if (before.fingerprint !== fingerprint) throw new Ec2Error('IdempotentParameterMismatch', 'The client token you have provided is associated with a resource that is already deleted or has other parameters.');
    return before.ids.map((id) => region.instances.get(id) as Instance);
  }
  check(region, p, images, min, max);
  region.spend('runInstances', max);
  const placement = p['Placement'];
  const zone = textOf(placement, 'AvailabilityZone') ?? (region.zones[region.instances.size % 3] as string);
  const type = textOf(p, 'InstanceType') as string;
  const given = region.takeCapacity(type, zone, max);
  if (given < min) {
    region.takeCapacity(type, zone, -given);
    throw new Ec2Error('InsufficientInstanceCapacity', `We currently do not have sufficient ${type} capacity in the Availability Zone you requested (${zone}).`, 500);
  }
  const reservation = region.newId('r');
  const made = Array.from({ length: given }, (_, index) => launch(region, p, { reservation, index, zone, type, token }));
  if (token !== '') region.tokens.set(token, { fingerprint, ids: made.map((i) => i.id) });
  return made;
}

function check(region: Region, p: Params, images: ReadonlySet<string>, min: number, max: number): void {
  if (!(min >= 1 && max >= min)) throw new Ec2Error('InvalidParameterValue', 'The value for minCount and maxCount is not valid');
  const type = textOf(p, 'InstanceType') ?? '';
  if (!TYPES.some((t) => t.name === type)) throw new Ec2Error('InvalidParameterValue', `Invalid value '${type}' for InstanceType.`);
  const image = textOf(p, 'ImageId') ?? '';
  if (!images.has(image)) throw new Ec2Error('InvalidAMIID.NotFound', `The image id '[${image}]' does not exist`);
  const key = textOf(p, 'KeyName');
  if (key !== undefined && !region.keys.has(key)) throw new Ec2Error('InvalidKeyPair.NotFound', `The key pair '${key}' does not exist`);
  const userData = Buffer.from(textOf(p, 'UserData') ?? '', 'base64');
  if (userData.length > 16_384) throw new Ec2Error('InvalidParameterValue', 'User data is limited to 16384 bytes');
  for (const group of groupsOf(p)) if (!region.groups.has(group)) throw new Ec2Error('InvalidGroup.NotFound', `The security group '${group}' does not exist`);
  if (region.alive() + max > region.options.instanceLimit) {
    throw new Ec2Error('VcpuLimitExceeded', 'You have requested more vCPU capacity than your current vCPU limit allows');
  }
}

function groupsOf(p: Params): string[] {
  const networkInterface = listOf(p['NetworkInterface'])[0];
  const nested = typeof networkInterface === 'object' ? listOf(networkInterface['SecurityGroupId']) : [];
  return [...listOf(p['SecurityGroupId']), ...nested].filter((g): g is string => typeof g === 'string');
}

/** The tags a call's TagSpecification gives to `resource`. */
export function tagsOf(p: Params, resource: string): Map<string, string> {
  const tags = new Map<string, string>();
  for (const spec of listOf(p['TagSpecification'])) {
    if (typeof spec === 'string' || spec['ResourceType'] !== resource) continue;
    for (const tag of listOf(spec['Tag'])) tags.set(textOf(tag, 'Key') ?? '', textOf(tag, 'Value') ?? '');
  }
  return tags;
}

function launch(region: Region, p: Params, at: { reservation: string; index: number; zone: string; type: string; token: string }): Instance {
  const now = region.now();
  const instance: Instance = {
    id: region.newId('i'),
    reservation: at.reservation,
    launchIndex: at.index,
    clientToken: at.token,
    type: at.type,
    image: textOf(p, 'ImageId') as string,
    key: textOf(p, 'KeyName'),
    zone: at.zone,
    groups: groupsOf(p),
    tags: tagsOf(p, 'instance'),
    launchedMs: now,
    target: 'running',
    arrivesMs: now + region.options.bootMs,
    userData: textOf(p, 'UserData'),
    spot: textOf(p['InstanceMarketOptions'], 'MarketType') === 'spot',
    privateIp: region.address('private'),
    publicIp: region.address('public'),
    httpTokens: textOf(p['MetadataOptions'], 'HttpTokens') ?? 'optional',
    hopLimit: textOf(p['MetadataOptions'], 'HttpPutResponseHopLimit') ?? '1',
  };
  region.instances.set(instance.id, instance);
  return instance;
}
