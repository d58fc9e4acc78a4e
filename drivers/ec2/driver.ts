/** The `Driver` of EC2: batches with a repeatable ClientToken, ownership by tags, one list a region. A machine's id is `region/i-…`. */
import type * as Sdk from '@aws-sdk/client-ec2';
import { BeltError, type Outcome } from '../../src/errors.ts';
import type { ClusterTag, Created, CreateOrder, Driver, Machine, MachineStatus, MachineType, PowerAction, Problem } from '../../src/provision/driver.ts';
import { fanOut } from '../../src/provision/fan-out.ts';
import { decodeNames } from '../../src/provision/name-runs.ts';
import { realPace, type Pace } from '../../src/provision/rate-limit.ts';
import { CLOUD_RETRY, nextWaitMs } from '../../src/provision/retry.ts';
import { Ec2Failure, Ec2Region, OURS, type Ec2Ports } from './api.ts';
import { batchesBegun, batchesOf, BATCH, runInput, type Batch, type Place } from './launch.ts';
import { ensureGroup, ensureKeyPair, findImage, removeNetwork } from './network.ts';
import type { Ec2Options } from './options.ts';
import { listTypes } from './types.ts';

/** Calls under way at once in all regions together. */
const CONCURRENCY = 8;
const SETTLE_MS = 300_000;
const POLL_MS = 5_000;
/** New instances may be unknown to other calls for a moment: found late is not lost. */
const LAG_MS = 4_000;

/** Makes the driver; the SDK is loaded when the first method needs it. */
export function createDriver(options: Ec2Options, ports: Ec2Ports = {}): Driver {
  return new Ec2Driver(options, ports);
}

interface Found {
  readonly region: Ec2Region;
  readonly instance: Sdk.Instance;
}

class Ec2Driver implements Driver {
  readonly name = 'ec2';
  readonly abilities = { userData: true, resize: true, pause: false, destroys: true };
  readonly #options: Ec2Options;
  readonly #ports: Ec2Ports;
  readonly #pace: Pace;
  readonly #regions = new Map<string, Promise<Ec2Region>>();
  #swept: Promise<string[]> | undefined;
  #typeTable: MachineType[] | undefined;

  constructor(options: Ec2Options, ports: Ec2Ports) {
    this.#options = options;
    this.#ports = ports;
    this.#pace = ports.pace ?? realPace;
  }

  #region(name: string): Promise<Ec2Region> {
    let region = this.#regions.get(name);
    if (region === undefined) this.#regions.set(name, (region = Ec2Region.open(name, this.#options, this.#ports)));
    return region;
  }

  async validate(signal: AbortSignal): Promise<Problem[]> {
    const problems: Problem[] = [];
    if (this.#options.firewall && this.#options.allow_from === undefined) {
      problems.push({ key: 'allow_from', message: 'belt does not know from where you reach the machines, and opens no port to the world by itself', next: 'set allow_from to your address, e.g. [203.0.113.7], or [anywhere] (ports 22 and 2378 only)' });
    }
    if (!this.#options.firewall && this.#options.security_groups.length === 0) problems.push({ key: 'security_groups', message: 'without a firewall of belt’s, security groups of yours are needed', next: 'set security_groups: [sg-…]' });
    if ((this.#options.access_key_id === undefined) !== (this.#options.secret_access_key === undefined)) {
      problems.push({ key: this.#options.access_key_id === undefined ? 'access_key_id' : 'secret_access_key', message: 'an access key needs both its halves', next: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY' });
    }
    try {
      const region = await this.#region(this.#options.region);
      await findImage(region, this.#options.image, signal);
    } catch (error) {
      if (!(error instanceof BeltError) || error.code === 'interrupted') throw error;
      problems.push({ key: error.code === 'driver_auth' ? 'access_key_id' : null, message: error.message, next: error.next ?? null });
    }
    return problems;
  }

  async types(signal: AbortSignal): Promise<MachineType[]> {
    if (this.#typeTable !== undefined) return this.#typeTable;
    return (this.#typeTable = await listTypes(await this.#region(this.#options.region), signal));
  }

  async *create(order: CreateOrder, signal: AbortSignal): AsyncIterable<Created> {
    const names = new Set(order.machines.map((machine) => machine.name));
    const begun: Batch[] = [];
    for (const regionName of new Set(order.machines.map((machine) => machine.region))) {
      const region = await this.#region(regionName);
      const instances = await region.instances({ 'belt.order': order.id }, signal);
      begun.push(...batchesBegun(order.id, regionName, instances));
      for (const instance of instances) {
        const machine = this.#machine(region, instance);
        if (names.delete(machine.name)) yield machine;
      }
    }
    // Lists lag behind launches: the rest of a batch that is seen in part is asked for by the very call that began it, which makes nothing twice.
    const again = begun.filter((batch) => batch.names.some((name) => names.has(name)));
    const inAgain = new Set(again.flatMap((batch) => batch.names));
    const missing = order.machines.filter((machine) => names.has(machine.name));
    const places = new Map<string, Place>();
    for (const region of new Set(missing.map((machine) => machine.region))) places.set(region, await this.#place(order, region, signal));
    const batches = [...again, ...batchesOf(missing.filter((machine) => !inAgain.has(machine.name)))];
    yield* fanOut(batches, CONCURRENCY, (batch) => this.#launch(order, batch, names, places.get(batch.region) as Place, signal));
  }

  async #place(order: CreateOrder, regionName: string, signal: AbortSignal): Promise<Place> {
    const region = await this.#region(regionName);
    const image = await findImage(region, order.image ?? this.#options.image, signal);
    const [publicKey] = order.sshPublicKeys;
    const keyName = publicKey === undefined ? undefined : await ensureKeyPair(region, order.clusterId, publicKey, signal);
    const groups = this.#options.firewall ? [await ensureGroup(region, order.clusterId, this.#options, signal)] : [];
    return { image, keyName, groups: [...groups, ...this.#options.security_groups] };
  }

  /** One batch to its end: EC2 may start fewer than asked; the rest is asked for again, elsewhere where the configuration allows. */
  async #launch(order: CreateOrder, batch: Batch, wanted: ReadonlySet<string>, place: Place, signal: AbortSignal): Promise<Created[]> {
    const region = await this.#region(batch.region);
    const out: Created[] = [];
    let rest = batch;
    let spentMs = 0;
    let attempt = 1;
    let atOnce = batch.names.length;
    const elsewhere = this.#alternatives(batch.type ?? order.type, batch);
    let choice = elsewhere.next().value as { type: string; zone: string | null };
    while (rest.names.length > 0) {
      try {
        const asked: Batch = { ...rest, zone: choice.zone, names: rest.names.slice(0, atOnce) };
        const command = new region.sdk.RunInstancesCommand(runInput(order, asked, choice.type, place, this.#options));
        const reply = await region.once<Sdk.RunInstancesCommandOutput>('run', command, signal, { bucket: 'runInstances', count: asked.names.length });
        const made = (reply.Instances ?? []).map((instance) => this.#machine(region, instance, asked.names));
        // A call that is repeated also tells of machines that are there already, or that are gone since.
        const fresh = made.filter((machine) => wanted.has(machine.name) && machine.status !== 'unknown');
        out.push(...fresh);
        await this.#nameThem(region, fresh, signal);
        rest = { ...rest, names: rest.names.filter((name) => wanted.has(name) && !fresh.some((machine) => machine.name === name)) };
        if (made.length === 0) throw new Ec2Failure({ effect: 'nothing', ec2Code: '', error: new BeltError('driver_unavailable', 'EC2 started nothing and said nothing') });
        attempt = 1;
      } catch (thrown) {
        if (!(thrown instanceof Ec2Failure) || thrown.failure.error.code === 'interrupted') throw thrown instanceof Ec2Failure ? thrown.failure.error : thrown;
        const { error } = thrown.failure;
        // A quota refuses a call whole: smaller calls use up what is left of it.
        if (error.code === 'driver_quota' && atOnce > 1) {
          atOnce = Math.ceil(atOnce / 2);
          continue;
        }
        const next = error.code === 'driver_capacity' ? (elsewhere.next().value as { type: string; zone: string | null } | undefined) : undefined;
        if (next !== undefined) {
          choice = next;
          continue;
        }
        const waitMs = nextWaitMs(this.#ports.retry ?? CLOUD_RETRY, error, attempt, spentMs, (this.#ports.random ?? Math.random)());
        if (waitMs === null) return [...out, ...rest.names.filter((name) => wanted.has(name)).map((name) => ({ failed: name, error: new BeltError(error.code, error.message, { machine: name, next: error.next, cause: error }) }))];
        attempt += 1;
        spentMs += waitMs;
        // The same token answers with what a lost call made: it is safe to ask again, and nothing has to be looked up.
        await this.#pace.sleep(waitMs, signal);
      }
    }
    return out;
  }

  /** Where to try in turn: the wanted place, then other zones, then other types, as far as the configuration allows. */
  *#alternatives(type: string, batch: Batch): Generator<{ type: string; zone: string | null }> {
    yield { type, zone: batch.zone };
    const zones = this.#options.fallback_zones ? ['a', 'b', 'c'].map((letter) => batch.region + letter).filter((zone) => zone !== batch.zone) : [];
    for (const zone of zones) yield { type, zone };
    for (const other of this.#options.fallback_types) for (const zone of [batch.zone, ...zones]) yield { type: other, zone };
  }

  /** `Name`, for people who look at the console. Names do not depend on it, so a failure is not the machine's. */
  async #nameThem(region: Ec2Region, machines: readonly Machine[], signal: AbortSignal): Promise<void> {
    if (machines.length === 1) return;
    const tag = async (machine: Machine): Promise<never[]> => {
      const command = new region.sdk.CreateTagsCommand({ Resources: [instanceId(machine.id)], Tags: [{ Key: 'Name', Value: machine.name }] });
      await region.call('tags', command, signal).catch((error: unknown) => {
        if (!(error instanceof BeltError) || error.code === 'interrupted') throw error;
      });
      return [];
    };
    for await (const _ of fanOut(machines, CONCURRENCY, tag));
  }

  async list(cluster: ClusterTag, signal: AbortSignal): Promise<Machine[]> {
    return (await this.#sweep({ 'belt.cluster-id': cluster.clusterId }, signal)).map(({ region, instance }) => this.#machine(region, instance));
  }

  async #sweep(tags: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Found[]> {
    const found: Found[] = [];
    const sweepOne = async (name: string): Promise<Found[]> => {
      const region = await this.#region(name);
      return (await region.instances(tags, signal)).map((instance) => ({ region, instance }));
    };
    for await (const one of fanOut(await this.#sweptRegions(signal), CONCURRENCY, sweepOne)) found.push(one);
    return found;
  }

  #sweptRegions(signal: AbortSignal): Promise<string[]> {
    if (this.#options.regions !== undefined) return Promise.resolve([...new Set([this.#options.region, ...this.#options.regions])]);
    this.#swept ??= (async () => {
      const home = await this.#region(this.#options.region);
      const reply = await home.call<Sdk.DescribeRegionsCommandOutput>('describe', new home.sdk.DescribeRegionsCommand({}), signal);
      return [...new Set([this.#options.region, ...(reply.Regions ?? []).flatMap((region) => region.RegionName ?? [])])];
    })();
    return this.#swept;
  }

  async #byId(ids: readonly string[], signal: AbortSignal): Promise<Map<string, Found>> {
    const wanted = new Set(ids);
    const found = new Map<string, Found>();
    for (const regionName of new Set(ids.map(regionOf))) {
      if (regionName === '') continue;
      const region = await this.#region(regionName);
      for (const instance of await region.instances({ [OURS]: '1' }, signal)) {
        const id = `${regionName}/${instance.InstanceId}`;
        if (wanted.has(id)) found.set(id, { region, instance });
      }
    }
    return found;
  }

  async power(ids: readonly string[], action: PowerAction, signal: AbortSignal): Promise<Outcome[]> {
    if (action === 'pause' || action === 'unpause') return ids.map((id) => failed(id, new BeltError('driver', 'EC2 cannot pause an instance', { next: 'belt stop keeps it, switched off' })));
    const wanted: MachineStatus = action === 'start' || action === 'reboot' ? 'active' : 'off';
    const outcomes = new Map<string, Outcome>();
    const found = await this.#byId(ids, signal);
    const acting: string[] = [];
    for (const id of ids) {
      const one = found.get(id);
      if (one === undefined) outcomes.set(id, failed(id, new BeltError('driver', `there is no instance ${id}`)));
      else if (action !== 'reboot' && statusOf(one.instance) === wanted) outcomes.set(id, done(id, wanted === 'off' ? 'already off' : 'already active'));
      else acting.push(id);
    }
    await this.#inChunks(acting, BATCH, outcomes, async (region, InstanceIds) => {
      const { sdk } = region;
      if (action === 'start') await region.call('start', new sdk.StartInstancesCommand({ InstanceIds }), signal, { bucket: 'runInstances', count: InstanceIds.length });
      else if (action === 'reboot') await region.call('mutate', new sdk.RebootInstancesCommand({ InstanceIds }), signal);
      else await region.call('mutate', new sdk.StopInstancesCommand({ InstanceIds, Force: action === 'kill' }), signal, { bucket: 'stopInstances', count: InstanceIds.length });
    });
    await this.#settle(acting, wanted, outcomes, signal);
    return ids.map((id) => outcomes.get(id) as Outcome);
  }

  /** Chunks of one region each; a chunk that fails fails its members and nobody else. */
  async #inChunks(ids: readonly string[], size: number, outcomes: Map<string, Outcome>, act: (region: Ec2Region, instanceIds: string[]) => Promise<void>): Promise<void> {
    const chunks = [...Map.groupBy(ids, regionOf).values()].flatMap((group) => Array.from({ length: Math.ceil(group.length / size) }, (_, n) => group.slice(n * size, (n + 1) * size)));
    const run = async (chunk: string[]): Promise<Outcome[]> => {
      try {
        await act(await this.#region(regionOf(chunk[0] as string)), chunk.map(instanceId));
        return [];
      } catch (error) {
        if (!(error instanceof BeltError) || error.code === 'interrupted') throw error;
        return chunk.map((id) => failed(id, error));
      }
    };
    for await (const outcome of fanOut(chunks, CONCURRENCY, run)) outcomes.set(outcome.name, outcome);
  }

  /** One list of each region a round until all are as wanted. */
  async #settle(acting: readonly string[], wanted: MachineStatus, outcomes: Map<string, Outcome>, signal: AbortSignal): Promise<void> {
    const start = this.#pace.now();
    let waiting = acting.filter((id) => !outcomes.has(id));
    while (waiting.length > 0) {
      const found = await this.#byId(waiting, signal);
      for (const id of waiting) {
        const one = found.get(id);
        if (one === undefined && this.#pace.now() - start > LAG_MS) outcomes.set(id, failed(id, new BeltError('driver', `instance ${id} is gone`)));
        else if (one !== undefined && statusOf(one.instance) === wanted) outcomes.set(id, done(id));
      }
      waiting = waiting.filter((id) => !outcomes.has(id));
      if (waiting.length === 0) return;
      if (this.#pace.now() - start > SETTLE_MS) {
        for (const id of waiting) outcomes.set(id, failed(id, new BeltError('timeout', `instance ${id} is not ${wanted} after ${SETTLE_MS / 60_000} minutes`)));
        return;
      }
      await this.#pace.sleep(POLL_MS, signal);
    }
  }

  async resize(ids: readonly string[], type: string, signal: AbortSignal): Promise<Outcome[]> {
    const outcomes = new Map<string, Outcome>();
    const found = await this.#byId(ids, signal);
    for (const id of ids) {
      const one = found.get(id);
      if (one === undefined) outcomes.set(id, failed(id, new BeltError('driver', `there is no instance ${id}`)));
      else if (one.instance.InstanceType === type) outcomes.set(id, done(id, `already ${type}`));
    }
    const changing = ids.filter((id) => !outcomes.has(id));
    const running = changing.filter((id) => statusOf((found.get(id) as Found).instance) === 'active');
    for (const outcome of await this.power(running, 'stop', signal)) if (!outcome.ok) outcomes.set(outcome.name, outcome);
    await this.#inChunks(changing.filter((id) => !outcomes.has(id)), 1, outcomes, async (region, [InstanceId]) => {
      await region.call('mutate', new region.sdk.ModifyInstanceAttributeCommand({ InstanceId: InstanceId as string, InstanceType: { Value: type } }), signal);
    });
    for (const id of changing) if (!outcomes.has(id)) outcomes.set(id, done(id));
    // What ran before runs again, whether it was changed or refused.
    for (const outcome of await this.power(running, 'start', signal)) if (outcomes.get(outcome.name)?.ok === true && !outcome.ok) outcomes.set(outcome.name, outcome);
    return ids.map((id) => outcomes.get(id) as Outcome);
  }

  async destroy(ids: readonly string[], signal: AbortSignal): Promise<Outcome[]> {
    const outcomes = new Map<string, Outcome>();
    const found = await this.#byId(ids, signal);
    for (const id of ids) if (!found.has(id)) outcomes.set(id, done(id, 'already gone'));
    // One unknown id makes EC2 end none of a call, so only what was just seen is named; ending is idempotent.
    await this.#inChunks([...found.keys()], BATCH, outcomes, async (region, InstanceIds) => {
      await region.call('terminate', new region.sdk.TerminateInstancesCommand({ InstanceIds }), signal, { bucket: 'stopInstances', count: InstanceIds.length });
    });
    for (const id of ids) if (!outcomes.has(id)) outcomes.set(id, done(id));
    await this.#removeNetworks([...found.values()], signal);
    return ids.map((id) => outcomes.get(id) as Outcome);
  }

  /** A cluster whose last instance of a region went leaves no group and no key there. */
  async #removeNetworks(gone: readonly Found[], signal: AbortSignal): Promise<void> {
    const seen = new Set<string>();
    for (const { region, instance } of gone) {
      const clusterId = tagsOf(instance)['belt.cluster-id'];
      if (clusterId === undefined || seen.has(`${region.name}/${clusterId}`)) continue;
      seen.add(`${region.name}/${clusterId}`);
      if ((await region.instances({ 'belt.cluster-id': clusterId }, signal)).length === 0) await removeNetwork(region, clusterId, signal);
    }
  }

  #machine(region: Ec2Region, instance: Sdk.Instance, names?: readonly string[]): Machine {
    const { [OURS]: _ours, 'belt.names': encoded = '', Name = '', ...tags } = tagsOf(instance);
    const zone = instance.Placement?.AvailabilityZone;
    const network = instance.NetworkInterfaces?.[0];
    return {
      name: (names ?? decodeNames(encoded))[instance.AmiLaunchIndex ?? 0] ?? Name,
      driver: this.name,
      id: `${region.name}/${instance.InstanceId}`,
      status: statusOf(instance),
      publicIpv4: instance.PublicIpAddress ?? network?.Association?.PublicIp ?? null,
      privateIpv4: instance.PrivateIpAddress ?? network?.PrivateIpAddress ?? null,
      sshPort: 22,
      sshUser: this.#options.ssh_user,
      memoryMb: this.#typeTable?.find((type) => type.name === instance.InstanceType)?.memoryMb ?? null,
      region: region.name,
      datacenter: `${this.name}:${region.name}${zone === undefined ? '' : `/${zone}`}`,
      image: instance.ImageId ?? null,
      size: instance.InstanceType ?? '',
      createdAt: instance.LaunchTime?.toISOString() ?? null,
      tags,
    };
  }
}

const regionOf = (id: string): string => id.split('/')[0] ?? '';
const instanceId = (id: string): string => id.split('/')[1] ?? id;
const done = (name: string, note?: string): Outcome => ({ name, ok: true, value: undefined, note });
const failed = (name: string, error: BeltError): Outcome => ({ name, ok: false, error });

function tagsOf(instance: Sdk.Instance): Record<string, string> {
  return Object.fromEntries((instance.Tags ?? []).map((tag) => [tag.Key ?? '', tag.Value ?? '']));
}

function statusOf(instance: Sdk.Instance): MachineStatus {
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
