/**
 * Who gets which address. A cluster is one bridge network, so that every machine reaches every other; each region owns slices of 256
 * addresses in it, so that a region can be cut off with one pair of rules. All of it is read back from the machines' labels: nothing is kept.
 */
import { assert, BeltError } from '../../src/errors.ts';

/** Addresses of a slice that machines use: .1 to .254 (the network and broadcast looks of .0 and .255 confuse tools). */
const FIRST_HOST = 1;
const LAST_HOST = 254;
const SLICE = 256;

/** A machine's place, as its labels tell it. */
export interface Placed {
  readonly region: string;
  readonly address: string;
}

/** `a.b.c.d` as a number; `BeltError` `config` when it is no IPv4 address. */
export function addressToNumber(address: string): number {
  const parts = address.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => !Number.isInteger(part) || part < 0 || part > 255)) {
    throw new BeltError('config', `'${address}' is not an IPv4 address`);
  }
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

/** The reverse of {@link addressToNumber}. */
export function numberToAddress(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
}

export interface Subnet {
  readonly base: number;
  readonly bits: number;
}

/** `198.18.0.0/15` as numbers. The base is brought to its own boundary. */
export function parseSubnet(text: string): Subnet {
  const match = /^([\d.]+)\/(\d+)$/.exec(text);
  const bits = Number(match?.[2]);
  if (match === null || bits < 8 || bits > 30) throw new BeltError('config', `'${text}' is not an IPv4 subnet such as 198.18.0.0/15`);
  const size = 2 ** (32 - bits);
  return { base: Math.floor(addressToNumber(match[1] ?? '') / size) * size, bits };
}

export function formatSubnet(subnet: Subnet): string {
  return `${numberToAddress(subnet.base)}/${subnet.bits}`;
}

function overlap(a: Subnet, b: Subnet): boolean {
  const [outer, inner] = a.bits <= b.bits ? [a, b] : [b, a];
  const size = 2 ** (32 - outer.bits);
  return Math.floor(inner.base / size) * size === outer.base;
}

/** The subnets of `bits` in `pool` that touch none of `taken`, lowest first. */
export function* freeSubnets(pool: Subnet, bits: number, taken: readonly Subnet[]): Generator<Subnet> {
  const size = 2 ** (32 - bits);
  for (let base = pool.base; base < pool.base + 2 ** (32 - pool.bits); base += size) {
    const candidate = { base, bits };
    if (!taken.some((other) => overlap(candidate, other))) yield candidate;
  }
}

/** The slices (as `a.b.c.0/24`) that a region's machines stand in, in order. */
export function slicesOf(region: string, machines: readonly Placed[]): string[] {
  const bases = new Set(machines.filter((machine) => machine.region === region).map((machine) => sliceOf(addressToNumber(machine.address))));
  return [...bases].sort((a, b) => a - b).map((base) => `${numberToAddress(base)}/24`);
}

function sliceOf(address: number): number {
  return Math.floor(address / SLICE) * SLICE;
}

/**
 * An address for each region of `wanted`, in order: the lowest free one of the region's slices, else of the next slice that no region owns.
 * The network's first slice is the gateway's and nobody's. Throws `driver_capacity` when the network is full.
 */
export function allocate(network: Subnet, machines: readonly Placed[], wanted: readonly string[]): string[] {
  assert(network.bits <= 23, 'a cluster network holds at least one slice beside the gateway’s');
  const owner = new Map<number, string>();
  const taken = new Set<number>();
  for (const machine of machines) {
    const address = addressToNumber(machine.address);
    taken.add(address);
    owner.set(sliceOf(address), machine.region);
  }
  const end = network.base + 2 ** (32 - network.bits);
  const freeIn = (slice: number): number | undefined => {
    for (let host = FIRST_HOST; host <= LAST_HOST; host += 1) if (!taken.has(slice + host)) return slice + host;
    return undefined;
  };
  const next = (region: string): number => {
    for (const mine of [true, false]) {
      for (let slice = network.base + SLICE; slice < end; slice += SLICE) {
        if (mine ? owner.get(slice) !== region : owner.has(slice)) continue;
        const address = freeIn(slice);
        if (address !== undefined) return address;
      }
    }
    throw new BeltError('driver_capacity', `the network ${formatSubnet(network)} has no address left for region '${region}'`, {
      next: 'remove machines, or give a cluster of its own to some of them',
    });
  };
  return wanted.map((region) => {
    const address = next(region);
    taken.add(address);
    owner.set(sliceOf(address), region);
    return numberToAddress(address);
  });
}
