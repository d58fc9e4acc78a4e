/** The `Driver` of hosts that exist already: `create` adopts them, `destroy` forgets them, nothing is ever done to the hosts themselves. */
import { BeltError, type Outcome } from '../../src/errors.ts';
import type { ClusterTag, Created, CreateOrder, Driver, Machine, MachineType, OrderedMachine, PowerAction, Problem } from '../../src/provision/driver.ts';
import { fanOut } from '../../src/provision/fan-out.ts';
import { type Claim, Claims } from './claims.ts';
import { greet } from './greeting.ts';
import { claimsFolder, type GenericOptions, hostId, type HostOptions, SSH_PORT } from './options.ts';

/** The region of hosts that name none, and of orders that want any. */
const ANYWHERE = 'generic';
/** The type of hosts whose memory nobody told. */
const ANY_TYPE = 'any';

export interface GenericPorts {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly now?: () => number;
}

/** Makes the driver; no host is looked at before the first method is called. */
export function createDriver(options: GenericOptions, ports: GenericPorts = {}): Driver {
  return new GenericDriver(options, ports);
}

class GenericDriver implements Driver {
  readonly name = 'generic';
  readonly abilities = { userData: false, resize: false, pause: false, destroys: false };
  readonly #options: GenericOptions;
  readonly #claims: Claims;
  readonly #now: () => number;

  constructor(options: GenericOptions, ports: GenericPorts) {
    this.#options = options;
    this.#claims = new Claims(claimsFolder(options, ports.env ?? process.env));
    this.#now = ports.now ?? Date.now;
  }

  async validate(): Promise<Problem[]> {
    if (this.#options.hosts.length > 0) return [];
    return [{ key: 'hosts', message: 'no hosts are listed', next: 'list them in .belt.yml under generic: hosts: (see .belt.yml.example)' }];
  }

  async types(): Promise<MachineType[]> {
    const sizes = [...new Set(this.#options.hosts.flatMap((host) => host.memory_mb ?? []))].sort((a, b) => a - b);
    const known = sizes.map((memoryMb) => ({ name: typeName(memoryMb), memoryMb, vcpus: 0, pricePerHour: null, regions: this.#regionsWith(memoryMb) }));
    return this.#options.hosts.some((host) => host.memory_mb === undefined) ? [...known, { name: ANY_TYPE, memoryMb: 0, vcpus: 0, pricePerHour: null, regions: null }] : known;
  }

  #regionsWith(memoryMb: number): string[] {
    return [ANYWHERE, ...new Set(this.#options.hosts.filter((host) => (host.memory_mb ?? 0) >= memoryMb).map(regionOf))];
  }

  async *create(order: CreateOrder, signal: AbortSignal): AsyncIterable<Created> {
    const claims = await this.#claims.all();
    const mine = new Map([...claims.values()].filter((claim) => claim.clusterId === order.clusterId).map((claim) => [claim.name, claim]));
    const missing: OrderedMachine[] = [];
    for (const wanted of order.machines) {
      const claim = mine.get(wanted.name);
      // A host of ours greeted when it was adopted; what it does now is the list's to say.
      if (claim === undefined) missing.push(wanted);
      else yield this.#machine(claim, 'new');
    }
    const silent: string[] = [];
    const named = new Map(this.#options.hosts.flatMap((host) => (host.name === undefined ? [] : [[host.name, host] as const])));
    // The smallest that are large enough go first, as a cloud's size would.
    const free = this.#options.hosts.filter((host) => host.name === undefined && !claims.has(hostId(host))).sort((a, b) => (a.memory_mb ?? 0) - (b.memory_mb ?? 0));
    yield* fanOut(missing, this.#options.concurrency, async (wanted) => {
      const host = named.get(wanted.name);
      return [host === undefined ? await this.#adoptAny(order, wanted, free, silent, signal) : await this.#adoptNamed(order, wanted, host, signal)];
    });
  }

  async #adoptNamed(order: CreateOrder, wanted: OrderedMachine, host: HostOptions, signal: AbortSignal): Promise<Created> {
    const fail = (code: 'driver' | 'driver_unavailable', why: string, next: string): Created => ({ failed: wanted.name, error: new BeltError(code, why, { machine: wanted.name, next }) });
    if (!fits(host, order, wanted)) return fail('driver', `${hostId(host)} stands in ${regionOf(host)} with ${host.memory_mb ?? 'unknown'} MB: not as asked`, 'leave out --region, or ask for size any');
    const greeting = await greet(host.address, host.port ?? SSH_PORT, this.#options.timeout * 1000, signal);
    if (!greeting.isUp) return fail('driver_unavailable', `${hostId(host)} ${greeting.why}`, 'switch it on, or correct its address in generic.hosts');
    return (await this.#claim(order, wanted, host)) ?? fail('driver', `${hostId(host)} belongs to another cluster`, 'remove it there first');
  }

  /** The next free host that is as asked and greets; a silent one is passed over and told of when none is left. */
  async #adoptAny(order: CreateOrder, wanted: OrderedMachine, free: HostOptions[], silent: string[], signal: AbortSignal): Promise<Created> {
    for (;;) {
      const at = free.findIndex((host) => fits(host, order, wanted));
      const host = at === -1 ? undefined : free.splice(at, 1)[0];
      if (host === undefined) break;
      const greeting = await greet(host.address, host.port ?? SSH_PORT, this.#options.timeout * 1000, signal);
      if (!greeting.isUp) silent.push(`${hostId(host)} ${greeting.why}`);
      const adopted = greeting.isUp ? await this.#claim(order, wanted, host) : null;
      if (adopted !== null) return adopted;
    }
    const others = silent.length === 0 ? '' : `; ${silent.slice(0, 3).join(', ')}${silent.length > 3 ? ` and ${silent.length - 3} more are silent` : ''}`;
    return { failed: wanted.name, error: new BeltError('driver_capacity', `no free host is left that is as asked${others}`, { machine: wanted.name, next: `${silent.length === 0 ? '' : 'switch on those that are silent, or '}list more under generic.hosts` }) };
  }

  async #claim(order: CreateOrder, wanted: OrderedMachine, host: HostOptions): Promise<Machine | null> {
    const claim: Claim = {
      name: wanted.name, cluster: order.cluster, clusterId: order.clusterId, order: order.id, ...this.#described(host),
      tags: { ...order.tags }, claimedAt: new Date(this.#now()).toISOString(),
    };
    return (await this.#claims.take(hostId(host), claim)) ? this.#machine(claim, 'active') : null;
  }

  #described(host: HostOptions): Pick<Claim, 'address' | 'port' | 'user' | 'region' | 'privateAddress' | 'memoryMb'> {
    return {
      address: host.address, port: host.port ?? SSH_PORT, user: host.user ?? this.#options.ssh_user, region: regionOf(host),
      privateAddress: host.private_address ?? null, memoryMb: host.memory_mb ?? null,
    };
  }

  async list(cluster: ClusterTag, signal: AbortSignal): Promise<Machine[]> {
    const claims = [...(await this.#claims.all()).values()].filter((claim) => claim.clusterId === cluster.clusterId);
    const listed = new Map(this.#options.hosts.map((host) => [hostId(host), host]));
    const machines: Machine[] = [];
    const look = async (claim: Claim): Promise<Machine[]> => {
      const host = listed.get(hostId(claim));
      // The list may have been corrected since; a host that left it is known as it was.
      const current = host === undefined ? claim : { ...claim, ...this.#described(host) };
      const { isUp } = await greet(claim.address, claim.port, this.#options.timeout * 1000, signal);
      return [this.#machine(current, isUp ? 'active' : 'off')];
    };
    for await (const machine of fanOut(claims, this.#options.concurrency, look)) machines.push(machine);
    return machines;
  }

  async power(ids: readonly string[], action: PowerAction): Promise<Outcome[]> {
    const why = `belt cannot ${action} a host that it did not make`;
    return ids.map((id) => failed(id, why, action === 'reboot' || action === 'stop' ? `belt ssh NAME sudo ${action === 'stop' ? 'poweroff' : 'reboot'}` : 'use its own switch or console'));
  }

  async resize(ids: readonly string[]): Promise<Outcome[]> {
    return ids.map((id) => failed(id, 'belt cannot resize a host that it did not make', 'adopt a larger one'));
  }

  async destroy(ids: readonly string[]): Promise<Outcome[]> {
    const claims = await this.#claims.all();
    const outcomes: Outcome[] = [];
    for (const id of ids) {
      const known = claims.has(id);
      if (known) await this.#claims.release(id);
      outcomes.push({ name: id, ok: true, value: undefined, note: known ? 'forgotten; the host goes on running' : 'already gone' });
    }
    return outcomes;
  }

  #machine(claim: Claim, status: Machine['status']): Machine {
    return {
      name: claim.name, driver: this.name, id: hostId(claim), status, publicIpv4: claim.address, privateIpv4: claim.privateAddress,
      sshPort: claim.port, sshUser: claim.user, memoryMb: claim.memoryMb, region: claim.region, datacenter: `${this.name}:${claim.region}`,
      image: null, size: claim.memoryMb === null ? ANY_TYPE : typeName(claim.memoryMb), createdAt: claim.claimedAt,
      tags: { ...claim.tags, 'belt.cluster': claim.cluster, 'belt.cluster-id': claim.clusterId, 'belt.order': claim.order },
    };
  }
}

function failed(id: string, why: string, next: string): Outcome {
  return { name: id, ok: false, error: new BeltError('driver', why, { next }) };
}

const regionOf = (host: HostOptions): string => host.region ?? ANYWHERE;
const typeName = (memoryMb: number): string => `${memoryMb}mb`;

/** Whether the host stands where it was asked for and is at least as large. */
function fits(host: HostOptions, order: CreateOrder, wanted: OrderedMachine): boolean {
  const least = order.memoryMb ?? Number(/^(\d+)mb$/.exec(order.type)?.[1] ?? 0);
  return (wanted.region === ANYWHERE || wanted.region === regionOf(host)) && (host.memory_mb ?? 0) >= least;
}
