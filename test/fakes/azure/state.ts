/**
 * What a fake Azure subscription holds: resources by id, machines with power states, scale sets that make their own members, and
 * operations that take time. No HTTP here.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { Bucket, type FakeClock } from '../limits.ts';

export interface SubscriptionOptions {
  readonly clock: FakeClock;
  /** From a PUT of a machine to `Succeeded`, milliseconds of the fake's clock. */
  readonly bootMs: number;
  /** Machines left of a size; a size that is not named has no end. */
  readonly capacity: Map<string, number>;
  /** vCPUs the subscription may have in a location. */
  readonly coreQuota: number;
  readonly limitScale: number;
}

export type Body = Record<string, unknown>;
export interface Resource {
  readonly id: string;
  readonly type: string;
  readonly name: string;
  readonly group: string;
  /** `vmId` of a machine, `uniqueId` of a scale set. */
  readonly unique: string;
  body: Body;
  createdMs: number;
  doneMs: number;
  failure: { code: string; message: string } | null;
  power: 'running' | 'stopped' | 'deallocated';
}

/** An error in ARM's own words. */
export class ArmError extends Error {
  readonly status: number;
  readonly code: string;
  readonly retryAfterSeconds: number | null;
  constructor(status: number, code: string, message: string, retryAfterSeconds: number | null = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

export const SIZES: readonly { name: string; memoryMb: number; vcpus: number }[] = [
  { name: 'Standard_B1ls', memoryMb: 512, vcpus: 1 },
  { name: 'Standard_B1s', memoryMb: 1024, vcpus: 1 },
  { name: 'Standard_B1ms', memoryMb: 2048, vcpus: 1 },
  { name: 'Standard_B2s', memoryMb: 4096, vcpus: 2 },
  { name: 'Standard_B2ms', memoryMb: 8192, vcpus: 2 },
  { name: 'Standard_B4ms', memoryMb: 16384, vcpus: 4 },
  { name: 'Standard_B8ms', memoryMb: 32768, vcpus: 8 },
];

/** Limits per subscription and region (Azure's compute throttling page, and 1,000 network writes in five minutes). */
function buckets(clock: FakeClock, scale: number): Record<string, Bucket> {
  const perMinute = (max: number, refill: number): Bucket => new Bucket(max, (refill / 60) * scale, clock);
  return {
    putVm: perMinute(1500, 500),
    deleteVm: perMinute(1500, 500),
    actVm: perMinute(1500, 500),
    getVm: perMinute(24_000, 8_000),
    listVm: perMinute(900, 300),
    operation: perMinute(15_000, 5_000),
    putSet: perMinute(375, 125),
    networkWrite: perMinute(1000, 200),
    networkRead: perMinute(10_000, 2_000),
    write: new Bucket(200, 10 * scale, clock),
    delete: new Bucket(200, 10 * scale, clock),
    read: new Bucket(250, 25 * scale, clock),
  };
}

const DISK = 'Microsoft.Compute/disks';

/** One subscription; keys are lower-case resource ids, as ARM compares them without case. */
export class Subscription {
  readonly id: string;
  readonly options: SubscriptionOptions;
  readonly buckets: Record<string, Bucket>;
  readonly groups = new Map<string, { name: string; location: string; tags: Body; deleteAtMs: number | null }>();
  readonly resources = new Map<string, Resource>();
  readonly operations = new Map<string, { doneMs: number; failure: () => { code: string; message: string } | null; result: string | null }>();
  #address = 3;

  constructor(id: string, options: SubscriptionOptions) {
    this.id = id;
    this.options = options;
    this.buckets = buckets(options.clock, options.limitScale);
  }

  now(): number {
    return this.options.clock();
  }

  /** One token of each bucket, or 429 with the seconds to wait. */
  spend(...names: string[]): void {
    for (const name of names) {
      const bucket = this.buckets[name];
      if (bucket === undefined || bucket.take()) continue;
      throw new ArmError(429, 'TooManyRequests', `The request was throttled (${name}).`, Math.max(1, Math.ceil(bucket.secondsUntil())));
    }
  }

  idOf(group: string, type: string, name: string): string {
    return `/subscriptions/${this.id}/resourceGroups/${group}/providers/${type}/${name}`;
  }

  get(group: string, type: string, name: string): Resource | undefined {
    return this.resources.get(this.idOf(group, type, name).toLowerCase());
  }

  /** Creates or updates; what PUT makes exists at once and is `Creating` for a while. */
  put(group: string, type: string, name: string, body: Body): { resource: Resource; created: boolean } {
    const id = this.idOf(group, type, name);
    const before = this.resources.get(id.toLowerCase());
    if (before !== undefined) {
      before.body = { ...before.body, ...body };
      return { resource: before, created: false };
    }
    const now = this.now();
    const isMachine = type === 'Microsoft.Compute/virtualMachines';
    const resource: Resource = { id, type, name, group, unique: randomUUID(), body, createdMs: now, doneMs: now + (isMachine ? this.options.bootMs : this.options.bootMs / 5), failure: null, power: 'running' };
    this.resources.set(id.toLowerCase(), resource);
    if (isMachine) this.#attachDisk(resource);
    return { resource, created: true };
  }

  /** A machine's own disk, as the platform makes it. */
  #attachDisk(vm: Resource): void {
    const properties = vm.body['properties'] as { storageProfile?: { osDisk?: Body } };
    const { resource: disk } = this.put(vm.group, DISK, `${vm.name}_OsDisk`, { location: vm.body['location'], managedBy: vm.id, properties: { diskSizeGB: 30, hyperVGeneration: 'V2' } });
    properties.storageProfile = { ...properties.storageProfile, osDisk: { ...properties.storageProfile?.osDisk, managedDisk: { id: disk.id } } };
  }

  remove(resource: Resource): void {
    this.resources.delete(resource.id.toLowerCase());
    if (resource.type !== 'Microsoft.Compute/virtualMachines') return;
    const { osDisk } = (resource.body['properties'] as { storageProfile: { osDisk: { deleteOption?: string; managedDisk: { id: string } } } }).storageProfile;
    const disk = this.resources.get(osDisk.managedDisk.id.toLowerCase());
    if (disk !== undefined && osDisk.deleteOption === 'Delete') this.remove(disk);
    else if (disk !== undefined) delete disk.body['managedBy'];
  }

  list(group: string | null, type: string): Resource[] {
    return [...this.resources.values()].filter((r) => r.type === type && (group === null || r.group.toLowerCase() === group.toLowerCase()));
  }

  /** An operation that ends at `doneMs`; `failure` is asked when it is over. */
  operation(doneMs: number, failure: () => { code: string; message: string } | null, result: string | null): string {
    const id = randomUUID();
    this.operations.set(id, { doneMs, failure, result });
    return id;
  }

  usedCores(): number {
    let used = 0;
    for (const vm of this.list(null, 'Microsoft.Compute/virtualMachines')) used += sizeOf(vm.body)?.vcpus ?? 0;
    return used;
  }

  takeCapacity(size: string, wanted: number): number {
    const left = this.options.capacity.get(size);
    if (left === undefined) return wanted;
    const given = Math.min(left, wanted);
    this.options.capacity.set(size, left - given);
    return given;
  }

  nextAddress(network: 'private' | 'public'): string {
    this.#address += 1;
    const n = this.#address;
    return network === 'private' ? `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}` : `20.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;
  }

  suffix(): string {
    return randomBytes(4).toString('hex');
  }
}

/** The size a machine's body names. */
export function sizeOf(body: Body): { name: string; memoryMb: number; vcpus: number } | undefined {
  const properties = body['properties'] as { hardwareProfile?: { vmSize?: string } } | undefined;
  return SIZES.find((s) => s.name === properties?.hardwareProfile?.vmSize);
}
