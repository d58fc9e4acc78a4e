/** The `Driver` of EC2: batches with a repeatable ClientToken, ownership by tags, one list a region. A machine's id is `region/i-…`. */
import type * as Sdk from '@aws-sdk/client-ec2';
import { BeltError, type Outcome } from '../../src/errors.ts';
import { type ClusterTag, type Created, type CreateOrder, type Driver, ListedInPart, type Machine, type MachineStatus, type MachineType, type PowerAction, type Problem } from '../../src/provision/driver.ts';
import { fanOut } from '../../src/provision/fan-out.ts';
import { pollDelayMs } from '../../src/provision/poll.ts';
import { realPace, type Pace } from '../../src/provision/rate-limit.ts';
import { CLOUD_RETRY, nextWaitMs } from '../../src/provision/retry.ts';
import { Ec2Failure, type Ec2Ports, type Ec2Region } from './api.ts';
import { batchesBegun, batchesOf, BATCH, runInput, type Batch, type Place } from './launch.ts';
import { ensureGroup, ensureKeyPair, findImage, removeNetwork } from './network.ts';
import { instanceId, machineOf, regionOf, statusOf, tagsOf } from './machine.ts';
import { Naming } from './naming.ts';
import type { Ec2Options } from './options.ts';
import { CONCURRENCY, Regions, type Found } from './regions.ts';
import { listTypes } from './types.ts';

const SETTLE_MS = 300_000;
const POLL_MS = 5_000;
/** New instances may be unknown to other calls for a moment: found late is not lost. */
const LAG_MS = 4_000;

/** Makes the driver; the SDK is loaded when the first method needs it. */
export function createDriver(options: Ec2Options, ports: Ec2Ports = {}): Driver {
  return new Ec2Driver(options, ports);
}

class Ec2Driver implements Driver {
  readonly name = 'ec2';
  readonly abilities = { userData: true, resize: true, pause: false, destroys: true };
  readonly #options: Ec2Options;
  readonly #ports: Ec2Ports;
  readonly #pace: Pace;
  readonly #regions: Regions;
  #typeTable: MachineType[] | undefined;

  constructor(options: Ec2Options, ports: Ec2Ports) {
    this.#options = options;
    this.#ports = ports;
    this.#pace = ports.pace ?? realPace;
    this.#regions = new Regions(options, ports);
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
      const region = await this.#regions.open(this.#options.region);
      await findImage(region, this.#options.image, signal);
    } catch (error) {
      if (!(error instanceof BeltError) || error.code === 'interrupted') throw error;
      problems.push({ key: error.code === 'driver_auth' ? 'access_key_id' : null, message: error.message, next: error.next ?? null });
    }
    return problems;
  }

  async types(signal: AbortSignal): Promise<MachineType[]> {
    if (this.#typeTable !== undefined) return this.#typeTable;
    return (this.#typeTable = await listTypes(await this.#regions.open(this.#options.region), signal));
  }

  async *create(order: CreateOrder, signal: AbortSignal): AsyncIterable<Created> {
    const names = new Set(order.machines.map((machine) => machine.name));
    const regions = new Set(order.machines.map((machine) => machine.region));
    const there = await this.#regions.ask(regions, async (region) => [{ region, instances: await region.instances({ 'belt.order': order.id }, signal) }]);
    const begun: Batch[] = [];
    const naming = new Naming(signal);
    for (const { region, instances } of there.found) {
      begun.push(...batchesBegun(order.id, region.name, instances));
      naming.add(region, instances.filter((instance) => tagsOf(instance)['Name'] === undefined).map((instance) => this.#machine(region, instance)));
      for (const instance of instances) {
        const machine = this.#machine(region, instance);
        if (names.delete(machine.name)) yield machine;
      }
    }
    // Lists lag behind launches: the rest of a batch that is seen in part is asked for by the very call that began it, which makes nothing twice.
    const again = begun.filter((batch) => batch.names.some((name) => names.has(name)));
    const inAgain = new Set(again.flatMap((batch) => batch.names));
    const missing = order.machines.filter((machine) => names.has(machine.name));
    const wanted = new Set(missing.map((machine) => machine.region).filter((region) => !there.down.has(region)));
    const readied = await this.#regions.ask(wanted, async (region) => [[region.name, await this.#place(order, region, signal)] as const]);
    const places = new Map<string, Place>(readied.found);
    // A region that is down, or cannot be made ready, fails its own machines.
    for (const { name, region } of missing) {
      const error = there.down.get(region) ?? readied.down.get(region);
      if (error !== undefined) yield unmade(name, error);
    }
    const batches = [...again, ...batchesOf(missing.filter((machine) => !inAgain.has(machine.name)))].filter((batch) => places.has(batch.region));
    const launch = async (batch: Batch): Promise<Created[]> => {
      const created = await this.#launch(order, batch, names, places.get(batch.region) as Place, signal);
      // A machine that was asked for alone was born with its name.
      if (batch.names.length > 1) naming.add(await this.#regions.open(batch.region), created);
      return created;
    };
    yield* fanOut(batches, CONCURRENCY, launch);
    await naming.done();
  }

  async #place(order: CreateOrder, region: Ec2Region, signal: AbortSignal): Promise<Place> {
    const image = await findImage(region, order.image ?? this.#options.image, signal);
    const keyName = await ensureKeyPair(region, order.clusterId, order.sshPublicKeys, this.#options, signal);
    const groups = this.#options.firewall ? [await ensureGroup(region, order.clusterId, this.#options, signal)] : [];
    return { image, keyName, groups: [...groups, ...this.#options.security_groups] };
  }

  /** One batch to its end: EC2 may start fewer than asked; the rest is asked for again, elsewhere where the configuration allows. */
  async #launch(order: CreateOrder, batch: Batch, wanted: ReadonlySet<string>, place: Place, signal: AbortSignal): Promise<Created[]> {
    const region = await this.#regions.open(batch.region);
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
        if (waitMs === null) return [...out, ...rest.names.filter((name) => wanted.has(name)).map((name) => unmade(name, error))];
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

  async list(cluster: ClusterTag, signal: AbortSignal): Promise<Machine[]> {
    const { found, down } = await this.#regions.sweep({ 'belt.cluster-id': cluster.clusterId }, signal);
    const machines = found.map(({ region, instance }) => this.#machine(region, instance));
    if (down.size > 0) throw new ListedInPart(machines, down);
    return machines;
  }

  async power(ids: readonly string[], action: PowerAction, signal: AbortSignal): Promise<Outcome[]> {
    if (action === 'pause' || action === 'unpause') return ids.map((id) => failed(id, new BeltError('driver', 'EC2 cannot pause an instance', { next: 'belt stop keeps it, switched off' })));
    const wanted: MachineStatus = action === 'start' || action === 'reboot' ? 'active' : 'off';
    const outcomes = new Map<string, Outcome>();
    const { found, down } = await this.#regions.byId(ids, signal);
    const acting: string[] = [];
    for (const id of ids) {
      const one = found.get(id);
      if (one === undefined) outcomes.set(id, failed(id, down.get(regionOf(id)) ?? new BeltError('driver', `there is no instance ${id}`)));
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
        await act(await this.#regions.open(regionOf(chunk[0] as string)), chunk.map(instanceId));
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
    for (let poll = 0; waiting.length > 0; poll += 1) {
      const { found, down } = await this.#regions.byId(waiting, signal);
      for (const id of waiting) {
        const one = found.get(id);
        if (down.has(regionOf(id))) continue;
        if (one === undefined && this.#pace.now() - start > LAG_MS) outcomes.set(id, failed(id, new BeltError('driver', `instance ${id} is gone`)));
        else if (one !== undefined && statusOf(one.instance) === wanted) outcomes.set(id, done(id));
      }
      waiting = waiting.filter((id) => !outcomes.has(id));
      if (waiting.length === 0) return;
      if (this.#pace.now() - start > SETTLE_MS) {
        for (const id of waiting) outcomes.set(id, failed(id, new BeltError('timeout', `instance ${id} is not ${wanted} after ${SETTLE_MS / 60_000} minutes`)));
        return;
      }
      await this.#pace.sleep(pollDelayMs(poll, waiting.length, POLL_MS), signal);
    }
  }

  async resize(ids: readonly string[], type: string, signal: AbortSignal): Promise<Outcome[]> {
    const outcomes = new Map<string, Outcome>();
    const { found, down } = await this.#regions.byId(ids, signal);
    for (const id of ids) {
      const one = found.get(id);
      if (one === undefined) outcomes.set(id, failed(id, down.get(regionOf(id)) ?? new BeltError('driver', `there is no instance ${id}`)));
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
    const { found, down } = await this.#regions.byId(ids, signal);
    for (const id of ids) {
      const why = down.get(regionOf(id));
      if (why !== undefined) outcomes.set(id, failed(id, why));
      else if (!found.has(id)) outcomes.set(id, done(id, 'already gone'));
    }
    // One unknown id makes EC2 end none of a call, so only what was just seen is named; ending is idempotent.
    await this.#inChunks([...found.keys()], BATCH, outcomes, async (region, InstanceIds) => {
      await region.call('terminate', new region.sdk.TerminateInstancesCommand({ InstanceIds }), signal, { bucket: 'stopInstances', count: InstanceIds.length });
    });
    for (const id of ids) if (!outcomes.has(id)) outcomes.set(id, done(id));
    await this.#removeNetworks([...found.values()], signal);
    return ids.map((id) => outcomes.get(id) as Outcome);
  }

  /** A cluster whose last instance of a region went leaves no group and no key there. What cannot be removed is no fault of the machines that went; `belt doctor` finds it. */
  async #removeNetworks(gone: readonly Found[], signal: AbortSignal): Promise<void> {
    for (const [region, members] of Map.groupBy(gone, (one) => one.region)) {
      for (const clusterId of new Set(members.map(({ instance }) => tagsOf(instance)['belt.cluster-id']))) {
        if (clusterId === undefined) continue;
        try {
          if ((await region.instances({ 'belt.cluster-id': clusterId }, signal)).length === 0) await removeNetwork(region, clusterId, this.#pace, signal);
        } catch (error) {
          if (!(error instanceof BeltError) || error.code === 'interrupted') throw error;
        }
      }
    }
  }

  #machine(region: Ec2Region, instance: Sdk.Instance, names?: readonly string[]): Machine {
    return machineOf(instance, { region: region.name, sshUser: this.#options.ssh_user, types: this.#typeTable }, names);
  }
}

const done = (name: string, note?: string): Outcome => ({ name, ok: true, value: undefined, note });
const failed = (name: string, error: BeltError): Outcome => ({ name, ok: false, error });
const unmade = (name: string, error: BeltError): Created => ({ failed: name, error: new BeltError(error.code, error.message, { machine: name, next: error.next, cause: error }) });
