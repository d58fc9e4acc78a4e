/**
 * EC2's query API on loopback over {@link Region}s: what the driver and independent clients (the AWS CLI, boto3) need, and no more. An
 * action it does not know is answered as EC2 answers one, so that a test cannot pass by accident.
 */
import { createHash, randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { FakeReply, FakeRequest, FakeService } from '../http-fake.ts';
import { startFake, type RunningFake } from '../http-fake.ts';
import { scaledClock } from '../limits.ts';
import { FAKE_IMAGE, IMAGE_ACTIONS } from './images.ts';
import { filtered, texts, tagSet, type Action, type Params } from './query.ts';
import { runInstances, tagsOf } from './run-instances.ts';
import { Ec2Error, Region, TYPES, type Instance, type RegionOptions, type Rule } from './state.ts';
import { listOf, parseForm, textOf, toXml, type Form, type Xml } from './xml.ts';

export interface Ec2Fake extends RunningFake {
  region(name: string): Region;
  readonly throttled: () => number;
  readonly options: RegionOptions;
  readonly settings: Settings;
}

/** What a test may change while the fake runs. */
export interface Settings {
  /** The access key that is accepted. */
  accessKey: string;
  /** Largest page a list gives, whatever is asked. */
  pageSizeMax: number;
  /** A region whose endpoint answers every call with 503. */
  downRegion: string | null;
}

export { FAKE_IMAGE } from './images.ts';
export const FAKE_VPC = 'vpc-0fa4e0000000000ff';

/** Starts a fake account; the region of a call is read from its signature's scope. */
export async function startEc2(options: Partial<RegionOptions> & { accessKey?: string } = {}): Promise<Ec2Fake> {
  const service = new Ec2Service(options);
  const running = await startFake(service);
  return { ...running, region: (name) => service.region(name), throttled: () => service.throttled, options: service.options, settings: service.settings };
}

class Ec2Service implements FakeService {
  throttled = 0;
  readonly #regions = new Map<string, Region>();
  readonly options: RegionOptions;
  readonly settings: Settings;

  constructor(options: Partial<RegionOptions> & { accessKey?: string }) {
    this.options = { clock: scaledClock(1), bootMs: 50, lagMs: 0, capacity: new Map(), instanceLimit: 10_000, limitScale: 1, ...options };
    this.settings = { accessKey: options.accessKey ?? 'AKIAFAKE', pageSizeMax: 1000, downRegion: null };
  }

  region(name: string): Region {
    let region = this.#regions.get(name);
    if (region === undefined) this.#regions.set(name, (region = new Region(name, this.options, this.#regions)));
    return region;
  }

  nameOf(request: Omit<FakeRequest, 'name'>): string {
    return textOf(parseForm(request.body.toString('utf8')), 'Action') ?? 'unknown';
  }

  handle(request: FakeRequest): FakeReply {
    const id = randomBytes(16).toString('hex');
    try {
      const [, key, , regionName] = /Credential=([^/]+)\/(\d+)\/([^/]+)\/ec2\//.exec(request.headers.authorization ?? '') ?? [];
      if (regionName === this.settings.downRegion) return { status: 503, body: 'upstream connect error' };
      if (key !== this.settings.accessKey) throw new Ec2Error('AuthFailure', 'AWS was not able to validate the provided access credentials', 401);
      const p = parseForm(request.body.toString('utf8'));
      const action = ACTIONS[request.name];
      if (action === undefined) throw new Ec2Error('InvalidAction', `The action ${request.name} is not valid for this web service.`);
      const content = toXml(action(this.region(regionName as string), p, this.settings));
      return xml(200, `<${request.name}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>${id}</requestId>${content}</${request.name}Response>`);
    } catch (error) {
      if (!(error instanceof Ec2Error)) throw error;
      if (error.code === 'RequestLimitExceeded') this.throttled += 1;
      return xml(error.status, `<Response><Errors><Error><Code>${error.code}</Code><Message>${toXml(error.message)}</Message></Error></Errors><RequestID>${id}</RequestID></Response>`);
    }
  }
}

const xml = (status: number, body: string): FakeReply => ({ status, headers: { 'content-type': 'text/xml;charset=UTF-8' }, body: `<?xml version="1.0" encoding="UTF-8"?>\n${body}` });

const STATE_CODE = { pending: 0, running: 16, 'shutting-down': 32, terminated: 48, stopping: 64, stopped: 80 } as const;

function renderInstance(region: Region, i: Instance): Xml {
  const name = region.state(i);
  const gone = name === 'terminated' || name === 'shutting-down';
  return {
    instanceId: i.id, imageId: i.image, instanceState: { code: STATE_CODE[name], name }, amiLaunchIndex: i.launchIndex, instanceType: i.type,
    launchTime: new Date(i.launchedMs).toISOString(), placement: { availabilityZone: i.zone, tenancy: 'default' }, clientToken: i.clientToken,
    ...(gone ? {} : { privateIpAddress: i.privateIp }), ...(name === 'running' ? { ipAddress: i.publicIp } : {}),
    ...(i.key === undefined ? {} : { keyName: i.key }), ...(i.spot ? { instanceLifecycle: 'spot' } : {}),
    groupSet: i.groups.map((groupId) => ({ groupId, groupName: region.groups.get(groupId)?.name ?? groupId })), tagSet: tagSet(i.tags),
    metadataOptions: { state: 'applied', httpTokens: i.httpTokens, httpPutResponseHopLimit: i.hopLimit },
  };
}

function reservations(region: Region, instances: readonly Instance[]): Xml {
  const by = new Map<string, Instance[]>();
  for (const i of instances) by.set(i.reservation, [...(by.get(i.reservation) ?? []), i]);
  return [...by].map(([reservationId, items]) => ({ reservationId, ownerId: '123456789012', instancesSet: items.map((i) => renderInstance(region, i)) }));
}

const instanceField = (region: Region) => (i: Instance, name: string): string | undefined => {
  if (name.startsWith('tag:')) return i.tags.get(name.slice(4));
  if (name === 'instance-state-name') return region.state(i);
  if (name === 'client-token') return i.clientToken;
  if (name === 'instance.group-id') return i.groups[0];
  throw new Ec2Error('InvalidParameterValue', `The filter '${name}' is invalid`);
};

function instancesById(region: Region, p: Params): Instance[] {
  const visible = new Map(region.visible().map((i) => [i.id, i]));
  return texts(p['InstanceId']).map((id) => {
    const found = visible.get(id);
    if (found === undefined) throw new Ec2Error('InvalidInstanceID.NotFound', `The instance ID '${id}' does not exist`);
    return found;
  });
}

const describeInstances: Action = (region, p, settings) => {
  region.spend('describe');
  const size = textOf(p, 'MaxResults');
  if (p['InstanceId'] !== undefined) {
    if (size !== undefined) throw new Ec2Error('InvalidParameterCombination', 'The parameter instancesSet cannot be used with the parameter maxResults');
    return { reservationSet: reservations(region, instancesById(region, p)) };
  }
  const all = filtered(region.visible(), p, instanceField(region));
  const start = Number(textOf(p, 'NextToken') ?? 0);
  const end = start + Math.min(settings.pageSizeMax, Number(size ?? 1000));
  return { reservationSet: reservations(region, all.slice(start, end)), ...(end < all.length ? { nextToken: String(end) } : {}) };
};

function changes(region: Region, instances: readonly Instance[], apply: (i: Instance) => void): Xml {
  return {
    instancesSet: instances.map((i) => {
      const before = region.state(i);
      apply(i);
      const after = region.state(i);
      return { instanceId: i.id, previousState: { code: STATE_CODE[before], name: before }, currentState: { code: STATE_CODE[after], name: after } };
    }),
  };
}

/** A rule for each source of a permission, as EC2 counts them. */
function rulesOf(permission: Form): Rule[] {
  const text = (key: string): string | undefined => textOf(permission, key);
  const sources = [...listOf((permission as Params)['IpRanges']).map((r) => textOf(r, 'CidrIp')), ...listOf((permission as Params)['Groups']).map((r) => textOf(r, 'GroupId'))];
  return sources.map((source) => ({ protocol: text('IpProtocol') ?? '', from: text('FromPort'), to: text('ToPort'), source: source ?? '' }));
}

/** All sources of one port in one, as EC2 tells them. */
function renderRules(rules: readonly Rule[]): Xml {
  return [...Map.groupBy(rules, ({ protocol, from, to }) => `${protocol} ${from} ${to}`).values()].map((group) => {
    const { protocol, from, to } = group[0] as Rule;
    return {
      ipProtocol: protocol, ...(from === undefined ? {} : { fromPort: from, toPort: to ?? from }),
      groups: group.filter(({ source }) => source.startsWith('sg-')).map(({ source }) => ({ groupId: source, userId: '123456789012' })),
      ipRanges: group.filter(({ source }) => !source.startsWith('sg-')).map(({ source }) => ({ cidrIp: source })),
    };
  });
}

function move(region: Region, i: Instance, target: Instance['target']): void {
  if (i.target === target) return;
  i.target = target;
  i.arrivesMs = region.now() + region.options.bootMs;
}

function mustBe(region: Region, instances: readonly Instance[], states: readonly string[]): void {
  const wrong = instances.find((i) => !states.includes(region.state(i)));
  if (wrong !== undefined) throw new Ec2Error('IncorrectInstanceState', `The instance '${wrong.id}' is not in a state from which it can do that.`);
}

const power = (bucket: string, cost: string | null, target: Instance['target'], from: readonly string[]): Action => (region, p) => {
  region.spend(bucket);
  const instances = instancesById(region, p);
  mustBe(region, instances, from);
  if (cost !== null) region.spend(cost, instances.length);
  return changes(region, instances, (i) => move(region, i, target));
};

const ACTIONS: Record<string, Action> = {
  ...IMAGE_ACTIONS,
  RunInstances: (region, p) => {
    const made = runInstances(region, p, new Set([FAKE_IMAGE, ...region.images.keys()]));
    return { reservationId: made[0]?.reservation, ownerId: '123456789012', instancesSet: made.map((i) => renderInstance(region, i)) };
  },
  DescribeInstances: describeInstances,
  StartInstances: power('start', 'runInstances', 'running', ['stopped', 'running', 'pending']),
  StopInstances: power('mutate', 'stopInstances', 'stopped', ['running', 'pending', 'stopped', 'stopping']),
  TerminateInstances: power('terminate', 'stopInstances', 'terminated', ['pending', 'running', 'stopping', 'stopped', 'shutting-down', 'terminated']),
  RebootInstances: (region, p) => {
    region.spend('mutate');
    mustBe(region, instancesById(region, p), ['running', 'pending']);
    return { return: true };
  },
  ModifyInstanceAttribute: (region, p) => {
    region.spend('mutate');
    const [instance] = instancesById(region, { InstanceId: { 1: textOf(p, 'InstanceId') ?? '' } });
    const type = textOf(p['InstanceType'], 'Value');
    if (type === undefined || !TYPES.some((t) => t.name === type)) throw new Ec2Error('InvalidParameterValue', `Invalid value '${type}' for InstanceType.`);
    mustBe(region, [instance as Instance], ['stopped']);
    (instance as Instance).type = type;
    return { return: true };
  },
  CreateTags: (region, p) => {
    region.spend('tags');
    const tags = listOf(p['Tag']).map((t) => [textOf(t, 'Key') ?? '', textOf(t, 'Value') ?? ''] as const);
    for (const id of texts(p['ResourceId'])) {
      const holder = region.instances.get(id) ?? region.groups.get(id) ?? region.snapshots.get(id);
      if (holder === undefined || (holder === region.instances.get(id) && !region.visible().includes(holder as Instance))) throw new Ec2Error('InvalidInstanceID.NotFound', `The instance ID '${id}' does not exist`);
      for (const [key, value] of tags) holder.tags.set(key, value);
    }
    return { return: true };
  },
  DescribeRegions: (region) => ({ regionInfo: [{ regionName: region.name, regionEndpoint: `ec2.${region.name}.amazonaws.com`, optInStatus: 'opt-in-not-required' }] }),
  DescribeAvailabilityZones: (region) => ({ availabilityZoneInfo: region.zones.map((zoneName) => ({ zoneName, zoneState: 'available', regionName: region.name, zoneId: zoneName })) }),
  DescribeVpcs: (region) => (region.spend('describe'), { vpcSet: [{ vpcId: FAKE_VPC, isDefault: true, cidrBlock: '172.31.0.0/16', state: 'available' }] }),
  DescribeSubnets: (region, p) => {
    region.spend('describe');
    const all = region.zones.map((zone, n) => ({ subnetId: `subnet-0fa4e000000000${n}ff`, vpcId: FAKE_VPC, availabilityZone: zone, defaultForAz: true, availableIpAddressCount: 4091, cidrBlock: `172.31.${n * 16}.0/20`, state: 'available' }));
    return { subnetSet: filtered(all, p, (s, name) => (name === 'default-for-az' ? 'true' : name === 'availability-zone' ? s.availabilityZone : s.vpcId)) };
  },
  DescribeSpotPriceHistory: (region, p) => {
    region.spend('describe');
    const price = (zone: string, type: string): string => ((TYPES.find(({ name }) => name === type)?.memoryMb ?? 0) / 1e6 + (zone.endsWith('c') ? 0.0002 : 0)).toFixed(6);
    return { spotPriceHistorySet: texts(p['InstanceType']).flatMap((instanceType) => region.zones.map((availabilityZone) => ({ instanceType, availabilityZone, productDescription: 'Linux/UNIX', spotPrice: price(availabilityZone, instanceType), timestamp: new Date(region.now()).toISOString() }))) };
  },
  DescribeInstanceTypes: (region) => (region.spend('describe'), { instanceTypeSet: TYPES.map((t) => ({ instanceType: t.name, currentGeneration: true, memoryInfo: { sizeInMiB: t.memoryMb }, vCpuInfo: { defaultVCpus: t.vcpus }, processorInfo: { supportedArchitectures: ['x86_64'] }, bareMetal: false })) }),
  DescribeSecurityGroups: (region, p) => {
    region.spend('describe');
    const ids = texts(p['GroupId']);
    const all = [...region.groups.values()].filter((g) => ids.length === 0 || ids.includes(g.id));
    const found = filtered(all, p, (g, name) => (name === 'group-name' ? g.name : name === 'vpc-id' ? g.vpc : name.startsWith('tag:') ? g.tags.get(name.slice(4)) : undefined));
    return { securityGroupInfo: found.map((g) => ({ groupId: g.id, groupName: g.name, groupDescription: g.description, vpcId: g.vpc, ownerId: '123456789012', tagSet: tagSet(g.tags), ipPermissions: renderRules(g.rules) })) };
  },
  CreateSecurityGroup: (region, p) => {
    region.spend('mutate');
    const name = textOf(p, 'GroupName') ?? '';
    if ([...region.groups.values()].some((g) => g.name === name)) throw new Ec2Error('InvalidGroup.Duplicate', `The security group '${name}' already exists for VPC '${FAKE_VPC}'`);
    const group = { id: region.newId('sg'), name, description: textOf(p, 'GroupDescription') ?? '', vpc: textOf(p, 'VpcId') ?? FAKE_VPC, tags: tagsOf(p, 'security-group'), rules: [] };
    region.groups.set(group.id, group);
    return { return: true, groupId: group.id, tagSet: tagSet(group.tags) };
  },
  AuthorizeSecurityGroupIngress: (region, p) => {
    region.spend('mutate');
    const group = region.groups.get(textOf(p, 'GroupId') ?? '');
    if (group === undefined) throw new Ec2Error('InvalidGroup.NotFound', 'The security group does not exist');
    const rules = listOf(p['IpPermissions']).flatMap(rulesOf);
    if (rules.some((r) => group.rules.some((have) => isDeepStrictEqual(have, r)))) throw new Ec2Error('InvalidPermission.Duplicate', 'the specified rule already exists');
    group.rules.push(...rules);
    return { return: true };
  },
  DeleteSecurityGroup: (region, p) => {
    region.spend('mutate');
    const id = textOf(p, 'GroupId') ?? '';
    if ([...region.instances.values()].some((i) => i.groups.includes(id) && region.state(i) !== 'terminated')) throw new Ec2Error('DependencyViolation', `resource ${id} has a dependent object`);
    if (!region.groups.delete(id)) throw new Ec2Error('InvalidGroup.NotFound', `The security group '${id}' does not exist`);
    return { return: true };
  },
  DescribeKeyPairs: (region, p) => {
    region.spend('describe');
    const names = texts(p['KeyName']);
    for (const name of names) if (!region.keys.has(name)) throw new Ec2Error('InvalidKeyPair.NotFound', `The key pair '${name}' does not exist`);
    const found = filtered([...region.keys.values()], p, (k, name) => (name === 'key-name' ? k.name : name === 'fingerprint' ? fingerprintOf(k.text) : name.startsWith('tag:') ? k.tags.get(name.slice(4)) : undefined));
    return { keySet: found.filter((k) => names.length === 0 || names.includes(k.name)).map((k) => ({ keyPairId: k.id, keyName: k.name, keyFingerprint: fingerprintOf(k.text), publicKey: k.text, tagSet: tagSet(k.tags) })) };
  },
  ImportKeyPair: (region, p) => {
    region.spend('mutate');
    const name = textOf(p, 'KeyName') ?? '';
    if (region.keys.has(name)) throw new Ec2Error('InvalidKeyPair.Duplicate', `The keypair already exists`);
    const text = Buffer.from(textOf(p, 'PublicKeyMaterial') ?? '', 'base64').toString('utf8');
    if (!/^ssh-(rsa|ed25519) /.test(text)) throw new Ec2Error('InvalidKey.Format', 'Key is not in valid OpenSSH public key format');
    const key = { name, id: region.newId('key'), text, tags: tagsOf(p, 'key-pair') };
    region.keys.set(name, key);
    return { keyPairId: key.id, keyName: name, keyFingerprint: fingerprintOf(text) };
  },
  DeleteKeyPair: (region, p) => (region.spend('mutate'), region.keys.delete(textOf(p, 'KeyName') ?? ''), { return: true }),
};

/** As EC2 tells it of ED25519 keys. */
function fingerprintOf(text: string): string {
  return createHash('sha256').update(Buffer.from(text.split(' ')[1] ?? '', 'base64')).digest('base64');
}
