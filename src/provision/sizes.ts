/**
 * Sizes as people write them (`512mb`, `8192MB`, `16gb`) → a type that the cloud has. Everything that is no amount of memory is a native type
 * name and passes through unchanged. Pure.
 */
import { BeltError } from '../errors.ts';
import type { MachineType } from './driver.ts';

const MEMORY = /^(\d+(?:\.\d+)?)\s*(m|mb|mib|g|gb|gib)$/i;

/** More memory than any machine has, MB: beyond it a size is a slip of the finger. */
const MEMORY_MAX_MB = 64 * 1024 * 1024;

/** The amount of memory that `size` asks for, MB (1 GB = 1024 MB); null when it is a native type name. Throws `usage` for nothing, or too much. */
export function memoryOfSize(size: string): number | null {
  const match = MEMORY.exec(size.trim());
  if (match === null) return null;
  const memoryMb = Math.ceil(Number(match[1]) * (match[2]?.toLowerCase().startsWith('g') ? 1024 : 1));
  if (memoryMb < 1 || memoryMb > MEMORY_MAX_MB) throw new BeltError('usage', `a machine of ${size} does not exist`, { next: 'write a size such as 512mb, 8192MB or 16gb, or a type of the cloud' });
  return memoryMb;
}

/** Which of two types that both satisfy is the better one: least memory, then fewest vCPUs, then cheapest where prices are known, then the one its driver lists first. */
function compareTypes(a: MachineType, b: MachineType): number {
  return a.memoryMb - b.memoryMb || a.vcpus - b.vcpus || (a.pricePerHour === null || b.pricePerHour === null ? 0 : a.pricePerHour - b.pricePerHour);
}

/** The types that `region` offers; all, when region is null. */
export function offered(types: readonly MachineType[], region: string | null): MachineType[] {
  return types.filter((type) => region === null || type.regions === null || type.regions.includes(region));
}

/** What a size came out as. */
export interface ResolvedSize {
  readonly type: string;
  /** Null where a native name is not among the types that are known. */
  readonly memoryMb: number | null;
  readonly pricePerHour: number | null;
}

/**
 * The smallest type that satisfies `size` in every one of `regions` (none: anywhere). A native name is passed through even when the list does
 * not have it, because offline lists are never complete; the cloud has the last word. Throws `driver_capacity` when nothing is large enough.
 */
export function resolveSize(types: readonly MachineType[], size: string, regions: readonly string[]): ResolvedSize {
  const memoryMb = memoryOfSize(size);
  if (memoryMb === null) {
    const named = types.find((type) => type.name === size);
    return { type: size, memoryMb: named?.memoryMb ?? null, pricePerHour: named?.pricePerHour ?? null };
  }
  const everywhere = types.filter((type) => regions.every((region) => offered([type], region).length === 1));
  const best = everywhere.filter((type) => type.memoryMb >= memoryMb).sort(compareTypes)[0];
  if (best !== undefined) return { type: best.name, memoryMb: best.memoryMb, pricePerHour: best.pricePerHour };
  const most = Math.max(0, ...everywhere.map((type) => type.memoryMb));
  const where = regions.length === 0 ? '' : ` in ${regions.join(', ')}`;
  throw new BeltError('driver_capacity', `no type${where} has ${memoryMb} MB of memory; the largest has ${most} MB`, { next: 'belt sizes' });
}

/** Prices an hour of interruptible machines now, by `region/type`, the dearest of a region's zones; what the cloud does not tell is left out. */
export type SpotPrices = (types: readonly string[], regions: readonly string[], signal: AbortSignal) => Promise<ReadonlyMap<string, number>>;
