/**
 * What a fake EC2 account holds in one region, with what moto leaves out: capacity, ClientToken, states that take time, and reads that
 * lag behind writes. No HTTP and no XML here.
 */
import { randomBytes } from 'node:crypto';
import { Bucket, type FakeClock } from '../limits.ts';

export interface RegionOptions {
  readonly clock: FakeClock;
  /** pending → running, stopping → stopped: milliseconds of the fake's clock. */
  readonly bootMs: number;
  /** How long a new instance is not yet found by id or filter, milliseconds; a function: each its own time. */
  readonly lagMs: number | ((instance: Instance) => number);
  /** Instances left of a type in a zone; a type that is not named has no end. */
  readonly capacity: Map<string, number>;
  /** Instances the account may have, in all regions. */
  readonly instanceLimit: number;
  /** Multiplies every refill rate, so that hours pass in minutes; 1 is the real one. */
  readonly limitScale: number;
}

export interface Instance {
  id: string;
  reservation: string;
  launchIndex: number;
  clientToken: string;
  type: string;
  image: string;
  key: string | undefined;
  zone: string;
  groups: string[];
  tags: Map<string, string>;
  launchedMs: number;
  /** Where it is going, and when it arrives. */
  target: 'running' | 'stopped' | 'terminated';
  arrivesMs: number;
  userData: string | undefined;
  spot: boolean;
  privateIp: string;
  publicIp: string;
  httpTokens: string;
  hopLimit: string;
}

/** An image of an instance, and the snapshot of its disk. */
export interface OwnImage {
  id: string;
  name: string;
  madeMs: number;
  snapshot: string;
  tags: Map<string, string>;
}
export interface DiskSnapshot {
  id: string;
  madeMs: number;
  tags: Map<string, string>;
}

/** One rule of a security group: from one network, or one group. */
export interface Rule {
  readonly protocol: string;
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly source: string;
}

/** An error in EC2's own words. */
export class Ec2Error extends Error {
  readonly status: number;
  readonly code: string;
  constructor(code: string, message: string, status = 400) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

export const TYPES: readonly { name: string; memoryMb: number; vcpus: number }[] = [
  { name: 't3.nano', memoryMb: 512, vcpus: 2 },
  { name: 't3.micro', memoryMb: 1024, vcpus: 2 },
  { name: 't3.small', memoryMb: 2048, vcpus: 2 },
  { name: 't3.medium', memoryMb: 4096, vcpus: 2 },
  { name: 't3.large', memoryMb: 8192, vcpus: 2 },
  { name: 't3.xlarge', memoryMb: 16384, vcpus: 4 },
  { name: 't3.2xlarge', memoryMb: 32768, vcpus: 8 },
  { name: 'm6i.4xlarge', memoryMb: 65536, vcpus: 16 },
];

/** The request and resource buckets of EC2, per account and region (its throttling page). */
function buckets(clock: FakeClock, scale: number): Record<string, Bucket> {
  const bucket = (max: number, refill: number): Bucket => new Bucket(max, refill * scale, clock);
  return {
    describe: bucket(100, 20),
    mutate: bucket(50, 5),
    run: bucket(5, 2),
    start: bucket(5, 2),
    terminate: bucket(100, 5),
    tags: bucket(100, 10),
    runInstances: bucket(1000, 2),
    stopInstances: bucket(1000, 20),
  };
}

/** Instances, groups and keys of one region. */
export class Region {
  readonly name: string;
  readonly options: RegionOptions;
  readonly buckets: Record<string, Bucket>;
  readonly instances = new Map<string, Instance>();
  readonly tokens = new Map<string, { fingerprint: string; ids: string[] }>();
  readonly groups = new Map<string, { id: string; name: string; description: string; vpc: string; tags: Map<string, string>; rules: Rule[] }>();
  readonly keys = new Map<string, { name: string; id: string; text: string; tags: Map<string, string> }>();
  readonly images = new Map<string, OwnImage>();
  readonly snapshots = new Map<string, DiskSnapshot>();
  #nextAddress = 10;

  /** All regions of the account. */
  readonly #account: ReadonlyMap<string, Region>;

  constructor(name: string, options: RegionOptions, account: ReadonlyMap<string, Region>) {
    this.name = name;
    this.#account = account;
    this.options = options;
    this.buckets = buckets(options.clock, options.limitScale);
  }

  get zones(): string[] {
    return ['a', 'b', 'c'].map((z) => this.name + z);
  }

  now(): number {
    return this.options.clock();
  }

  newId(prefix: string): string {
    return `${prefix}-${randomBytes(9).toString('hex').slice(0, 17)}`;
  }

  /** One token of the call's bucket, or `RequestLimitExceeded`. */
  spend(bucket: string, count = 1): void {
    const b = this.buckets[bucket];
    if (b !== undefined && !b.take(count)) throw new Ec2Error('RequestLimitExceeded', 'Request limit exceeded.', 503);
  }

  address(kind: 'private' | 'public'): string {
    this.#nextAddress += 1;
    const n = this.#nextAddress;
    const second = 16 + ([...this.#account.keys()].indexOf(this.name) & 127);
    return kind === 'private' ? `172.31.${(n >> 8) & 255}.${n & 255}` : `54.${second}.${(n >> 8) & 255}.${n & 255}`;
  }

  /** How many of `wanted` the zone can start now; taken from its capacity. */
  takeCapacity(type: string, zone: string, wanted: number): number {
    const key = this.options.capacity.has(`${type}/${zone}`) ? `${type}/${zone}` : type;
    const left = this.options.capacity.get(key);
    if (left === undefined) return wanted;
    const given = Math.min(left, wanted);
    this.options.capacity.set(key, left - given);
    return given;
  }

  state(instance: Instance): 'pending' | 'running' | 'stopping' | 'stopped' | 'shutting-down' | 'terminated' {
    const there = this.now() >= instance.arrivesMs;
    if (instance.target === 'running') return there ? 'running' : 'pending';
    if (instance.target === 'stopped') return there ? 'stopped' : 'stopping';
    return there ? 'terminated' : 'shutting-down';
  }

  /** Instances that reads already see. */
  visible(): Instance[] {
    const { lagMs } = this.options;
    const now = this.now();
    return [...this.instances.values()].filter((i) => now - i.launchedMs >= (typeof lagMs === 'number' ? lagMs : lagMs(i)));
  }

  /** Instances of the account that are not ended. */
  alive(): number {
    let count = 0;
    for (const region of this.#account.values()) for (const i of region.instances.values()) if (i.target !== 'terminated') count += 1;
    return count;
  }
}
