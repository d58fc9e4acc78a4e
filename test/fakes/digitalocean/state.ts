/**
 * What a fake DigitalOcean account holds, and how its droplets change with time. No HTTP here.
 */
import { createHash, randomUUID } from 'node:crypto';
import type { FakeClock } from '../limits.ts';

/** How the fake account behaves; every field has a default that suits a quick test. */
export interface AccountOptions {
  readonly clock: FakeClock;
  /** From the create call to `active`, milliseconds of the fake's clock. */
  readonly bootMs: number;
  /** How long a droplet's tags are not yet found by a filter, milliseconds. */
  readonly tagLagMs: number;
  readonly dropletLimit: number;
  /** Droplets there is room for in all; over it a create is refused as sold out. */
  readonly capacity: number;
  /** Sizes that are sold out: a droplet of one is made and vanishes; the real API answers 422. */
  readonly soldOut: ReadonlySet<string>;
}

export interface Size {
  slug: string;
  memory: number;
  vcpus: number;
  disk: number;
  transfer: number;
  price_monthly: number;
  price_hourly: number;
  regions: string[];
  available: boolean;
  description: string;
}

export interface Droplet {
  id: number;
  name: string;
  createdMs: number;
  size: Size;
  region: string;
  image: string;
  tags: string[];
  power: 'on' | 'off';
  vpc: string;
  userData: string | null;
  keys: (string | number)[];
  busyUntilMs: number;
}

export interface Snapshot {
  id: string;
  name: string;
  droplet: Droplet;
  readyMs: number;
  tags: string[];
}

export interface Action {
  id: number;
  type: string;
  resource: number;
  startedMs: number;
  doneMs: number;
}

const SOME = ['nyc1', 'nyc3', 'fra1', 'sfo3', 'sgp1', 'ams3', 'lon1', 'tor1', 'blr1', 'syd1'];
const size = (slug: string, memory: number, vcpus: number, disk: number, monthly: number, regions = SOME): Size => ({
  slug, memory, vcpus, disk, transfer: vcpus, price_monthly: monthly, price_hourly: Math.round((monthly / 672) * 1e5) / 1e5, regions, available: true, description: 'Basic',
});

/** The regions and sizes on offer, a cut of the real list. */
export const REGIONS = SOME;
export const SIZES: readonly Size[] = [
  size('s-1vcpu-512mb-10gb', 512, 1, 10, 4, ['nyc1', 'fra1', 'sfo3', 'sgp1', 'ams3']),
  size('s-1vcpu-1gb', 1024, 1, 25, 6),
  size('s-1vcpu-2gb', 2048, 1, 50, 12),
  size('s-2vcpu-2gb', 2048, 2, 60, 18),
  size('s-2vcpu-4gb', 4096, 2, 80, 24),
  size('s-4vcpu-8gb', 8192, 4, 160, 48),
  size('s-8vcpu-16gb', 16384, 8, 320, 96),
  size('g-8vcpu-32gb', 32768, 8, 100, 252),
];

/** One account. Ids grow; names need not be unique, as in the real cloud. */
export class Account {
  readonly options: AccountOptions;
  readonly droplets = new Map<number, Droplet>();
  readonly actions = new Map<number, Action>();
  readonly keys = new Map<number, { id: number; name: string; public_key: string; fingerprint: string }>();
  readonly firewalls = new Map<string, Record<string, unknown>>();
  readonly vpcs = new Map<string, { id: string; name: string; region: string; ip_range: string; description: string; default: boolean; createdMs: number }>();
  readonly tags = new Set<string>();
  readonly snapshots = new Map<string, Snapshot>();
  #nextId = 3_164_400;

  constructor(options: AccountOptions) {
    this.options = options;
  }

  now(): number {
    return this.options.clock();
  }

  nextId(): number {
    this.#nextId += 1;
    return this.#nextId;
  }

  create(spec: { name: string; size: Size; region: string; image: string; tags: string[]; vpc: string; userData: string | null; keys: (string | number)[] }): Droplet {
    const now = this.now();
    const droplet: Droplet = { id: this.nextId(), createdMs: now, power: 'on', busyUntilMs: now + this.options.bootMs, ...spec };
    this.droplets.set(droplet.id, droplet);
    for (const tag of spec.tags) this.tags.add(tag);
    return droplet;
  }

  /** `new` while it boots, then by its power. */
  status(droplet: Droplet): 'new' | 'active' | 'off' {
    if (this.now() < droplet.createdMs + this.options.bootMs) return 'new';
    return droplet.power === 'on' ? 'active' : 'off';
  }

  tagged(tag: string): Droplet[] {
    const settled = this.now() - this.options.tagLagMs;
    return [...this.droplets.values()].filter((d) => d.tags.includes(tag) && d.createdMs <= settled);
  }

  /** Does an action now; its record says `in-progress` for a while. */
  act(droplet: Droplet, type: string, apply: () => void): Action {
    apply();
    const now = this.now();
    const action: Action = { id: this.nextId(), type, resource: droplet.id, startedMs: now, doneMs: now + this.options.bootMs / 2 };
    droplet.busyUntilMs = action.doneMs;
    this.actions.set(action.id, action);
    return action;
  }

  /** A snapshot of the droplet; it is on lists when its action is over. */
  addSnapshot(droplet: Droplet, name: string): void {
    const id = String(this.nextId());
    this.snapshots.set(id, { id, name, droplet: { ...droplet }, readyMs: this.now() + this.options.bootMs / 2, tags: [] });
  }

  addKey(name: string, publicKey: string): { id: number; name: string; public_key: string; fingerprint: string } {
    const blob = Buffer.from(publicKey.split(' ')[1] ?? '', 'base64');
    const hex = createHash('md5').update(blob).digest('hex');
    const key = { id: this.nextId(), name, public_key: publicKey, fingerprint: (hex.match(/../g) as string[]).join(':') };
    this.keys.set(key.id, key);
    return key;
  }

  /** The region's default VPC, made when first needed. */
  defaultVpc(region: string): string {
    for (const vpc of this.vpcs.values()) if (vpc.region === region && vpc.default) return vpc.id;
    const id = randomUUID();
    this.vpcs.set(id, { id, name: `default-${region}`, region, ip_range: `10.${100 + this.vpcs.size}.0.0/20`, description: '', default: true, createdMs: this.now() });
    return id;
  }
}
