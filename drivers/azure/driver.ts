/**
 * The `Driver` of Azure: one resource group a cluster, named machines by PUT, large orders as scale sets in Flexible mode whose members get
 * belt's name as a tag. A machine's id is its name in the group. Progress is watched by listing, never by a poller a machine.
 */
import type { VirtualMachine, VirtualMachineScaleSet } from '@azure/arm-compute';
import { BeltError, type Outcome } from '../../src/errors.ts';
import type { ClusterTag, Created, CreateOrder, Driver, Machine, MachineStatus, MachineType, OrderedMachine, PowerAction, Problem } from '../../src/provision/driver.ts';
import { fanOut } from '../../src/provision/fan-out.ts';
import { realPace, type Pace } from '../../src/provision/rate-limit.ts';
import { AzureApi, type AzurePorts } from './api.ts';
import { machineBody, scaleSetBody, SET_MAX } from './machine-body.ts';
import { ensureInterface, ensureSubnet, groupOf } from './network.ts';
import type { AzureOptions } from './options.ts';
import { addressesOf, namesOf, removeGroup, sweepCluster, unlessNoGroup, type Sweep } from './sweep.ts';

/** Calls under way at once. */
const CONCURRENCY = 16;
const POLL_MS = 5_000;
/** A machine is given this long to be made, and any change of state. */
const SETTLE_MS = 900_000;

/** Makes the driver; the SDKs are loaded when the first method needs them. */
export function createDriver(options: AzureOptions, ports: AzurePorts = {}): Driver {
  return new AzureDriver(options, ports);
}

class AzureDriver implements Driver {
  readonly name = 'azure';
  readonly abilities = { userData: true, resize: true, pause: false, destroys: true };
  readonly #options: AzureOptions;
  readonly #ports: AzurePorts;
  readonly #pace: Pace;
  #opened: Promise<AzureApi> | undefined;
  #typeTable: MachineType[] | undefined;

  constructor(options: AzureOptions, ports: AzurePorts) {
    this.#options = options;
    this.#ports = ports;
    this.#pace = ports.pace ?? realPace;
  }

  #api(): Promise<AzureApi> {
    return (this.#opened ??= AzureApi.open(this.#options, this.#ports));
  }

  async validate(signal: AbortSignal): Promise<Problem[]> {
    const problems: Problem[] = [];
    const o = this.#options;
    if (o.subscription_id === undefined) problems.push({ key: 'subscription_id', message: 'no Azure subscription', next: 'set AZURE_SUBSCRIPTION_ID' });
    if (o.firewall && o.allow_from === undefined) {
      problems.push({ key: 'allow_from', message: 'belt does not know from where you reach the machines, and opens no port to the world by itself', next: 'set allow_from to your address, e.g. [203.0.113.7], or [anywhere] (ports 22 and 2378 only)' });
    }
    const principal = [o.tenant_id, o.client_id, o.client_secret].filter((part) => part !== undefined).length;
    if (principal !== 0 && principal !== 3) problems.push({ key: 'client_id', message: 'a service principal needs tenant, client and secret', next: 'set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or none of them after az login' });
    if (o.subscription_id === undefined) return problems;
    try {
      await this.types(signal);
    } catch (error) {
      if (!(error instanceof BeltError) || error.code === 'interrupted') throw error;
      problems.push({ key: error.code === 'driver_auth' ? 'client_id' : null, message: error.message, next: error.next ?? null });
    }
    return problems;
  }

  async types(signal: AbortSignal): Promise<MachineType[]> {
    if (this.#typeTable !== undefined) return this.#typeTable;
    const api = await this.#api();
    const skus = await api.all('listVm', () => api.compute.resourceSkus.list({ filter: `location eq '${this.#options.region}'`, abortSignal: signal }), signal);
    const table: MachineType[] = [];
    for (const sku of skus) {
      const capability = (name: string): string | undefined => sku.capabilities?.find((c) => c.name === name)?.value;
      const barred = (sku.restrictions ?? []).some((restriction) => restriction.type === 'Location');
      if (sku.resourceType !== 'virtualMachines' || sku.name === undefined || barred || (capability('CpuArchitectureType') ?? 'x64') !== 'x64') continue;
      table.push({ name: sku.name, memoryMb: Math.round(Number(capability('MemoryGB')) * 1024), vcpus: Number(capability('vCPUs')), pricePerHour: null, regions: null });
    }
    // Prices are not in this API. The burstable B family is the cheapest of its sizes, so that a plain memory size means it.
    const rank = (type: MachineType): number => (type.name.startsWith('Standard_B') ? 0 : 1);
    return (this.#typeTable = table.sort((a, b) => a.memoryMb - b.memoryMb || rank(a) - rank(b) || a.vcpus - b.vcpus || a.name.localeCompare(b.name)));
  }

  async *create(order: CreateOrder, signal: AbortSignal): AsyncIterable<Created> {
    const api = await this.#api();
    const sets = await this.#setsOf(api, order, signal);
    const promised = new Set(sets.flatMap((set) => namesOf(set)));
    const there = await sweepCluster(api, order, signal, 'names');
    const known = new Set<string>();
    for (const vm of there.machines) {
      const name = there.names.get(vm.name as string);
      if (vm.tags?.['belt.order'] === order.id && name !== undefined) known.add(name);
    }
    const missing = order.machines.filter((machine) => !known.has(machine.name) && !promised.has(machine.name));
    yield* this.#submitAndWatch(api, order, missing, { known, promised }, signal);
  }

  /** PUTs everything that is missing, then watches all of the order by listing until each machine stands or has failed. */
  async *#submitAndWatch(api: AzureApi, order: CreateOrder, missing: readonly OrderedMachine[], before: { known: ReadonlySet<string>; promised: ReadonlySet<string> }, signal: AbortSignal): AsyncIterable<Created> {
    const waiting = new Set([...before.known, ...before.promised].filter((name) => order.machines.some((machine) => machine.name === name)));
    const regions = [...new Set(order.machines.map((machine) => machine.region))];
    const subnets = new Map<string, string>();
    if (missing.length > 0) for (const region of regions) subnets.set(region, await ensureSubnet(api, order, region, this.#options, signal));
    const submit = async (job: Job): Promise<Created[]> => {
      try {
        await this.#submit(api, order, job, subnets.get(job.region) as string, signal);
        for (const { name } of job.machines) waiting.add(name);
        return [];
      } catch (error) {
        if (!(error instanceof BeltError) || error.code === 'interrupted') throw error;
        return job.machines.map(({ name }) => ({ failed: name, error: new BeltError(error.code, error.message, { machine: name, next: error.next, cause: error }) }));
      }
    };
    yield* fanOut(this.#jobs(missing), CONCURRENCY, submit);
    yield* this.#watch(api, order, waiting, signal);
  }

  #jobs(missing: readonly OrderedMachine[]): Job[] {
    const jobs: Job[] = [];
    for (const [place, machines] of Map.groupBy(missing, (machine) => `${machine.region}/${machine.zone ?? ''}`)) {
      const [region = '', zone = ''] = place.split('/');
      const size = machines.length >= this.#options.scale_set_from ? SET_MAX : 1;
      for (let at = 0; at < machines.length; at += size) jobs.push({ region, zone: zone === '' ? null : zone, machines: machines.slice(at, at + size), set: size > 1 });
    }
    return jobs;
  }

  async #submit(api: AzureApi, order: CreateOrder, job: Job, subnet: string, signal: AbortSignal): Promise<void> {
    const group = groupOf(order.clusterId);
    const [first] = job.machines as [OrderedMachine];
    if (job.set) {
      const body = scaleSetBody(order, job.machines.map((machine) => machine.name), { ...job, subnet }, this.#options);
      // The name says what it is for, so that the same order makes the same set again and never a second one.
      await api.call('putSet', () => api.compute.virtualMachineScaleSets.createOrUpdate(group, `set-${order.id.slice(0, 12)}-${first.name}`, body, { abortSignal: signal }).submitted(), signal);
      return;
    }
    const nic = await ensureInterface(api, order, first.name, job.region, subnet, this.#options, signal);
    const body = machineBody(order, first, order.type, nic.id as string, this.#options);
    await api.call('putVm', () => api.compute.virtualMachines.createOrUpdate(group, first.name, body, { abortSignal: signal }).submitted(), signal);
  }

  async *#watch(api: AzureApi, order: CreateOrder, waiting: Set<string>, signal: AbortSignal): AsyncIterable<Created> {
    const start = this.#pace.now();
    while (waiting.size > 0) {
      const sweep = await sweepCluster(api, order, signal, 'names');
      yield* this.#nameThem(api, order.clusterId, sweep, signal);
      const settled = sweep.machines.filter((vm) => waiting.has(sweep.names.get(vm.name as string) ?? '') && (vm.provisioningState === 'Failed' || vm.provisioningState === 'Succeeded'));
      const made = settled.filter((vm) => vm.provisioningState === 'Succeeded');
      const seen: Sweep = { ...sweep, power: new Map(made.map((vm) => [(vm.id ?? '').toLowerCase(), ['PowerState/running']])), addresses: made.length === 0 ? new Map() : await addressesOf(api, groupOf(order.clusterId), made, signal) };
      for (const vm of settled) {
        const name = sweep.names.get(vm.name as string) as string;
        waiting.delete(name);
        yield vm.provisioningState === 'Failed' ? { failed: name, error: await this.#removeFailed(api, order, vm, name, signal) } : this.#machine(order, vm, name, seen);
      }
      if (waiting.size === 0) return;
      yield* this.#giveUp(await this.#setsOf(api, order, signal), sweep, waiting);
      if (this.#pace.now() - start > SETTLE_MS) {
        for (const name of waiting) yield { failed: name, error: new BeltError('timeout', `Azure has not made ${name} in ${SETTLE_MS / 60_000} minutes`, { machine: name }) };
        return;
      }
      await this.#pace.sleep(POLL_MS, signal);
    }
  }

  /** Names of a set that failed and has no member for them. */
  *#giveUp(sets: readonly VirtualMachineScaleSet[], sweep: Sweep, waiting: Set<string>): Iterable<Created> {
    const have = new Set(sweep.names.values());
    for (const set of sets) {
      if (set.provisioningState !== 'Failed') continue;
      for (const name of namesOf(set)) {
        if (!waiting.has(name) || have.has(name)) continue;
        waiting.delete(name);
        yield { failed: name, error: new BeltError('driver_capacity', `Azure has no more capacity for ${set.sku?.name ?? 'the size'} there`, { machine: name, next: 'try another size or location (belt sizes)' }) };
      }
    }
  }

  /** Writes belt's name onto members of scale sets as soon as they are seen. */
  async *#nameThem(api: AzureApi, clusterId: string, sweep: Sweep, signal: AbortSignal): AsyncIterable<never> {
    const tag = async (vm: VirtualMachine): Promise<never[]> => {
      const tags = { ...vm.tags, 'belt.name': sweep.names.get(vm.name as string) as string };
      await api.call('changeVm', () => api.compute.virtualMachines.update(groupOf(clusterId), vm.name as string, { tags }, { abortSignal: signal }).submitted(), signal);
      return [];
    };
    yield* fanOut(sweep.untagged, CONCURRENCY, tag);
  }

  /** A machine whose making failed is still a resource, and would be in the way of the next try. */
  async #removeFailed(api: AzureApi, cluster: ClusterTag, vm: VirtualMachine, name: string, signal: AbortSignal): Promise<BeltError> {
    const view = await api.call('listVm', () => api.compute.virtualMachines.get(groupOf(cluster.clusterId), vm.name as string, { expand: 'instanceView', abortSignal: signal }), signal);
    const status = view.instanceView?.statuses?.find((s) => s.code?.startsWith('ProvisioningState/failed'));
    const code = status?.code?.split('/')[2] ?? 'Failed';
    await this.#delete(api, cluster.clusterId, vm.name as string, signal);
    const capacity = /Allocation|SkuNotAvailable/.test(code);
    return new BeltError(capacity ? 'driver_capacity' : 'driver', `Azure: ${code}: ${status?.message ?? 'the machine could not be made'}`, { machine: name, next: capacity ? 'try another size or location (belt sizes)' : undefined });
  }

  async #setsOf(api: AzureApi, order: CreateOrder, signal: AbortSignal): Promise<VirtualMachineScaleSet[]> {
    const sets = await unlessNoGroup(() => api.all('listVm', () => api.compute.virtualMachineScaleSets.list(groupOf(order.clusterId), { abortSignal: signal }), signal), []);
    return sets.filter((set) => set.tags?.['belt.order'] === order.id);
  }

  async list(cluster: ClusterTag, signal: AbortSignal): Promise<Machine[]> {
    const sweep = await sweepCluster((await this.#api()).look(), cluster, signal);
    return sweep.machines.map((vm) => this.#machine(cluster, vm, sweep.names.get(vm.name as string) ?? (vm.name as string), sweep));
  }

  async power(ids: readonly string[], action: PowerAction, signal: AbortSignal): Promise<Outcome[]> {
    if (action === 'pause' || action === 'unpause') return ids.map((id) => failed(id, new BeltError('driver', 'Azure cannot pause a machine', { next: 'belt stop keeps it, switched off' })));
    const wanted: MachineStatus = action === 'start' || action === 'reboot' ? 'active' : 'off';
    const skip = (machine: Machine): string | null => (action !== 'reboot' && machine.status === wanted ? (wanted === 'off' ? 'already off' : 'already active') : null);
    const act = (api: AzureApi, group: string, name: string): Promise<unknown> => {
      const vms = api.compute.virtualMachines;
      const options = { abortSignal: signal };
      if (action === 'start') return vms.start(group, name, options).submitted();
      if (action === 'reboot') return vms.restart(group, name, options).submitted();
      // A deallocated machine costs no compute; a power cut keeps its place and its price.
      return action === 'stop' ? vms.deallocate(group, name, options).submitted() : vms.powerOff(group, name, { ...options, skipShutdown: true }).submitted();
    };
    return this.#change(ids, skip, act, (machine) => machine.status === wanted, wanted, signal);
  }

  async resize(ids: readonly string[], type: string, signal: AbortSignal): Promise<Outcome[]> {
    const skip = (machine: Machine): string | null => (machine.size === type ? `already ${type}` : null);
    const act = (api: AzureApi, group: string, name: string): Promise<unknown> => api.compute.virtualMachines.update(group, name, { hardwareProfile: { vmSize: type } }, { abortSignal: signal }).submitted();
    return this.#change(ids, skip, act, (machine) => machine.size === type, type, signal);
  }

  /** Acts on each machine that needs it, then lists until all are as wanted. */
  async #change(ids: readonly string[], skip: (machine: Machine) => string | null, act: (api: AzureApi, group: string, name: string) => Promise<unknown>, reached: (machine: Machine) => boolean, word: string, signal: AbortSignal): Promise<Outcome[]> {
    const api = await this.#api();
    const outcomes = new Map<string, Outcome>();
    const before = await this.#byId(ids, signal);
    const acting: string[] = [];
    for (const id of ids) {
      const machine = before.get(id);
      const note = machine === undefined ? null : skip(machine);
      if (machine === undefined) outcomes.set(id, failed(id, new BeltError('driver', `there is no machine ${id}`)));
      else if (note !== null) outcomes.set(id, done(id, note));
      else acting.push(id);
    }
    const run = async (id: string): Promise<Outcome[]> => {
      try {
        const { group, name } = split(id);
        await api.call('changeVm', () => act(api, group, name), signal);
        return [];
      } catch (error) {
        if (!(error instanceof BeltError) || error.code === 'interrupted') throw error;
        return [failed(id, error)];
      }
    };
    for await (const outcome of fanOut(acting, CONCURRENCY, run)) outcomes.set(outcome.name, outcome);
    const start = this.#pace.now();
    for (let waiting = acting.filter((id) => !outcomes.has(id)); waiting.length > 0; waiting = waiting.filter((id) => !outcomes.has(id))) {
      const now = await this.#byId(waiting, signal);
      for (const id of waiting) {
        const machine = now.get(id);
        if (machine === undefined) outcomes.set(id, failed(id, new BeltError('driver', `machine ${id} is gone`)));
        else if (reached(machine)) outcomes.set(id, done(id));
        else if (this.#pace.now() - start > SETTLE_MS) outcomes.set(id, failed(id, new BeltError('timeout', `machine ${id} is not ${word} after ${SETTLE_MS / 60_000} minutes`)));
      }
      if (waiting.some((id) => !outcomes.has(id))) await this.#pace.sleep(POLL_MS, signal);
    }
    return ids.map((id) => outcomes.get(id) as Outcome);
  }

  async #byId(ids: readonly string[], signal: AbortSignal): Promise<Map<string, Machine>> {
    const wanted = new Set(ids);
    const found = new Map<string, Machine>();
    const api = await this.#api();
    for (const group of new Set(ids.map((id) => split(id).group))) {
      // The group's name holds the first half of the cluster's id, which is all that the sweep needs.
      const cluster = { cluster: '', clusterId: group.replace(/^belt-/, '') };
      const sweep = await sweepCluster(api, cluster, signal);
      for (const vm of sweep.machines) {
        const machine = this.#machine(cluster, vm, sweep.names.get(vm.name as string) ?? '', sweep);
        if (wanted.has(machine.id)) found.set(machine.id, machine);
      }
    }
    return found;
  }

  async destroy(ids: readonly string[], signal: AbortSignal): Promise<Outcome[]> {
    const api = await this.#api();
    const outcomes = new Map<string, Outcome>();
    for (const [group, members] of Map.groupBy(ids, (id) => split(id).group)) {
      const clusterId = group.replace(/^belt-/, '');
      const sweep = await sweepCluster(api, { cluster: '', clusterId }, signal);
      const there = new Set(sweep.machines.map((vm) => `${group}/${vm.name}`));
      for (const id of members) if (!there.has(id)) outcomes.set(id, done(id, 'already gone'));
      const going = members.filter((id) => there.has(id));
      if (going.length === there.size) await removeGroup(api, group, this.#pace, signal);
      else {
        // Names without a tag yet are dealt out in order: when one of them goes, the others would move up.
        for await (const _ of this.#nameThem(api, clusterId, sweep, signal));
        const run = async (id: string): Promise<Outcome[]> => {
          try {
            await this.#delete(api, clusterId, split(id).name, signal);
            return [];
          } catch (error) {
            if (!(error instanceof BeltError) || error.code === 'interrupted') throw error;
            return [failed(id, error)];
          }
        };
        for await (const outcome of fanOut(going, CONCURRENCY, run)) outcomes.set(outcome.name, outcome);
      }
      for (const id of going) if (!outcomes.has(id)) outcomes.set(id, done(id));
    }
    return ids.map((id) => outcomes.get(id) as Outcome);
  }

  async #delete(api: AzureApi, clusterId: string, name: string, signal: AbortSignal): Promise<void> {
    await api.call('deleteVm', () => api.compute.virtualMachines.delete(groupOf(clusterId), name, { abortSignal: signal }).submitted(), signal);
  }

  #machine(cluster: ClusterTag, vm: VirtualMachine, name: string, sweep: Sweep): Machine {
    const size = vm.hardwareProfile?.vmSize ?? '';
    const zone = vm.zones?.[0];
    const { belt: _belt, 'belt.name': _name, ...tags } = vm.tags ?? {};
    const image = vm.storageProfile?.imageReference;
    return {
      name,
      driver: this.name,
      id: `${groupOf(cluster.clusterId)}/${vm.name}`,
      status: statusOf(vm, sweep.power.get((vm.id ?? '').toLowerCase()) ?? []),
      ...(sweep.addresses.get(vm.name as string) ?? { publicIpv4: null, privateIpv4: null }),
      sshPort: 22,
      sshUser: this.#options.ssh_user,
      memoryMb: this.#typeTable?.find((type) => type.name === size)?.memoryMb ?? null,
      region: vm.location ?? '',
      datacenter: `${this.name}:${vm.location}${zone === undefined ? '' : `/${zone}`}`,
      image: image?.publisher === undefined ? null : [image.publisher, image.offer, image.sku, image.version].join(':'),
      size,
      createdAt: vm.timeCreated?.toISOString() ?? null,
      tags: Object.fromEntries(Object.entries(tags).filter(([key]) => !key.startsWith('belt.names'))),
    };
  }
}

/** Machines that are submitted together: one by name, or a scale set. */
interface Job {
  readonly region: string;
  readonly zone: string | null;
  readonly machines: readonly OrderedMachine[];
  readonly set: boolean;
}

const split = (id: string): { group: string; name: string } => {
  const [group = '', name = ''] = id.split('/');
  return { group, name };
};
const done = (name: string, note?: string): Outcome => ({ name, ok: true, value: undefined, note });
const failed = (name: string, error: BeltError): Outcome => ({ name, ok: false, error });

function statusOf(vm: VirtualMachine, codes: readonly string[]): MachineStatus {
  if (vm.provisioningState === 'Failed') return 'error';
  if (vm.provisioningState === 'Creating') return 'new';
  const power = codes.find((code) => code.startsWith('PowerState/'))?.split('/')[1];
  if (power === 'running') return 'active';
  if (power === 'stopped' || power === 'deallocated') return 'off';
  return power === 'starting' ? 'new' : 'unknown';
}
