/**
 * The `Driver` of Azure: one resource group a cluster, named machines by PUT, large orders as scale sets in Flexible mode whose members get
 * belt's name as a tag. A machine's id is its name in the group. Progress is watched by listing, never by a poller a machine.
 */
import type { VirtualMachine, VirtualMachineScaleSet } from '@azure/arm-compute';
import { BeltError, type Outcome } from '../../src/errors.ts';
import type { ClusterTag, Created, CreateOrder, Driver, Machine, MachineStatus, MachineType, OrderedMachine, PowerAction, Problem } from '../../src/provision/driver.ts';
import { fanOut } from '../../src/provision/fan-out.ts';
import { pollDelayMs } from '../../src/provision/poll.ts';
import { realPace, type Pace } from '../../src/provision/rate-limit.ts';
import { AzureApi, type AzurePorts, CONCURRENCY } from './api.ts';
import { usableImage } from './image.ts';
import { givenUp, jobsOf, type Job, setName } from './jobs.ts';
import { machineOf, placeOf } from './machine.ts';
import { machineBody, scaleSetBody } from './machine-body.ts';
import { ensureInterface, ensureSubnet, groupOf } from './network.ts';
import type { AzureOptions } from './options.ts';
import { addressesOf, nameMembers, namesOf, removeGroup, sweepCluster, unlessNoGroup, type Sweep } from './sweep.ts';
import { listTypes } from './types.ts';

/** Names written before the next look: what Azure takes in a minute. */
const NAMES_A_ROUND = 500;
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
    return (this.#typeTable ??= await listTypes(await this.#api(), this.#options.region, signal));
  }

  async *create(asked: CreateOrder, signal: AbortSignal): AsyncIterable<Created> {
    const api = await this.#api();
    const order = { ...asked, image: await usableImage(api, asked.image, signal) };
    const sets = await this.#setsOf(api, order, signal);
    const promised = new Set(sets.flatMap((set) => namesOf(set)));
    const there = await sweepCluster(api, order, signal, 'names');
    const known = new Set<string>();
    for (const vm of there.machines) {
      const name = there.names.get(vm.name as string);
      if (vm.tags?.['belt.order'] === order.id && name !== undefined) known.add(name);
    }
    let before = { known, promised };
    let missing = order.machines.filter((machine) => !known.has(machine.name) && !promised.has(machine.name));
    const types = [order.type, ...this.#options.fallback_types];
    // What there is no room for is tried in the next type, as far as the configuration names one.
    for (const [at, type] of types.entries()) {
      const noRoom = new Set<string>();
      for await (const created of this.#submitAndWatch(api, { ...order, type }, missing, before, signal)) {
        if ('failed' in created && created.error.code === 'driver_capacity' && at + 1 < types.length) noRoom.add(created.failed);
        else yield created;
      }
      if (noRoom.size === 0) return;
      missing = order.machines.filter(({ name }) => noRoom.has(name));
      before = { known: new Set(), promised: new Set() };
    }
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
    yield* fanOut(jobsOf(missing, this.#options.scale_set_from), CONCURRENCY, submit);
    yield* this.#watch(api, order, waiting, signal);
  }

  async #submit(api: AzureApi, order: CreateOrder, job: Job, subnet: string, signal: AbortSignal): Promise<void> {
    const group = groupOf(order.clusterId);
    const [first] = job.machines as [OrderedMachine];
    if (job.set) {
      const body = scaleSetBody(order, job.machines.map((machine) => machine.name), { ...job, subnet }, this.#options);
      await api.call('putSet', () => api.compute.virtualMachineScaleSets.createOrUpdate(group, setName(order, first.name), body, { abortSignal: signal }).submitted(), signal);
      return;
    }
    const nic = await ensureInterface(api, order, first.name, job.region, subnet, this.#options, signal);
    const body = machineBody(order, first, order.type, nic.id as string, this.#options);
    await api.call('putVm', () => api.compute.virtualMachines.createOrUpdate(group, first.name, body, { abortSignal: signal }).submitted(), signal);
  }

  async *#watch(api: AzureApi, order: CreateOrder, waiting: Set<string>, signal: AbortSignal): AsyncIterable<Created> {
    let lastMs = this.#pace.now();
    for (let poll = 0; waiting.size > 0; poll += 1) {
      const sweep = await sweepCluster(api, order, signal, 'names');
      const settled = sweep.machines.filter((vm) => waiting.has(sweep.names.get(vm.name as string) ?? '') && (vm.provisioningState === 'Failed' || vm.provisioningState === 'Succeeded'));
      const made = settled.filter((vm) => vm.provisioningState === 'Succeeded');
      const seen: Sweep = { ...sweep, power: new Map(made.map((vm) => [(vm.id ?? '').toLowerCase(), ['PowerState/running']])), addresses: made.length === 0 ? new Map() : await addressesOf(api, groupOf(order.clusterId), made, signal) };
      const settle = async (vm: VirtualMachine): Promise<Created> => {
        const name = sweep.names.get(vm.name as string) as string;
        waiting.delete(name);
        return vm.provisioningState === 'Failed' ? { failed: name, error: await this.#removeFailed(api, order, vm, name, signal) } : this.#machine(order, vm, name, seen);
      };
      const unnamed = new Set(sweep.untagged);
      const isSettled = new Set(settled);
      for (const vm of settled) if (!unnamed.has(vm)) yield await settle(vm);
      // Each counts as soon as it has its name; and names for thousands take minutes, in which others come up.
      for await (const vm of nameMembers(api, order.clusterId, sweep, signal, NAMES_A_ROUND)) if (isSettled.has(vm)) yield await settle(vm);
      if (waiting.size === 0) return;
      yield* givenUp(await this.#setsOf(api, order, signal), order.type, sweep, waiting);
      // Thousands of names take longer than any machine: the time counts from the last machine that came.
      if (settled.length > 0) lastMs = this.#pace.now();
      if (this.#pace.now() - lastMs > SETTLE_MS) {
        for (const name of waiting) yield { failed: name, error: new BeltError('timeout', `Azure has not made ${name} in ${SETTLE_MS / 60_000} minutes`, { machine: name }) };
        return;
      }
      if (sweep.untagged.length <= NAMES_A_ROUND) await this.#pace.sleep(pollDelayMs(poll, sweep.machines.length, POLL_MS), signal);
    }
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
        const { group, name } = placeOf(id);
        await api.call('changeVm', () => act(api, group, name), signal);
        return [];
      } catch (error) {
        if (!(error instanceof BeltError) || error.code === 'interrupted') throw error;
        return [failed(id, error)];
      }
    };
    for await (const outcome of fanOut(acting, CONCURRENCY, run)) outcomes.set(outcome.name, outcome);
    const start = this.#pace.now();
    let waiting = acting.filter((id) => !outcomes.has(id));
    for (let poll = 0; waiting.length > 0; poll += 1) {
      const now = await this.#byId(waiting, signal);
      for (const id of waiting) {
        const machine = now.get(id);
        if (machine === undefined) outcomes.set(id, failed(id, new BeltError('driver', `machine ${id} is gone`)));
        else if (reached(machine)) outcomes.set(id, done(id));
        else if (this.#pace.now() - start > SETTLE_MS) outcomes.set(id, failed(id, new BeltError('timeout', `machine ${id} is not ${word} after ${SETTLE_MS / 60_000} minutes`)));
      }
      waiting = waiting.filter((id) => !outcomes.has(id));
      if (waiting.length > 0) await this.#pace.sleep(pollDelayMs(poll, waiting.length, POLL_MS), signal);
    }
    return ids.map((id) => outcomes.get(id) as Outcome);
  }

  async #byId(ids: readonly string[], signal: AbortSignal): Promise<Map<string, Machine>> {
    const wanted = new Set(ids);
    const found = new Map<string, Machine>();
    const api = await this.#api();
    for (const group of new Set(ids.map((id) => placeOf(id).group))) {
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
    for (const [group, members] of Map.groupBy(ids, (id) => placeOf(id).group)) {
      const clusterId = group.replace(/^belt-/, '');
      const sweep = await sweepCluster(api, { cluster: '', clusterId }, signal);
      const there = new Set(sweep.machines.map((vm) => `${group}/${vm.name}`));
      for (const id of members) if (!there.has(id)) outcomes.set(id, done(id, 'already gone'));
      const going = members.filter((id) => there.has(id));
      if (going.length === there.size) await removeGroup(api, group, this.#pace, signal);
      else {
        // Names without a tag yet are dealt out in order: when one of them goes, the others would move up.
        for await (const _ of nameMembers(api, clusterId, sweep, signal));
        const run = async (id: string): Promise<Outcome[]> => {
          try {
            await this.#delete(api, clusterId, placeOf(id).name, signal);
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
    return machineOf(vm, name, { group: groupOf(cluster.clusterId), sshUser: this.#options.ssh_user, types: this.#typeTable }, sweep);
  }
}

const done = (name: string, note?: string): Outcome => ({ name, ok: true, value: undefined, note });
const failed = (name: string, error: BeltError): Outcome => ({ name, ok: false, error });
