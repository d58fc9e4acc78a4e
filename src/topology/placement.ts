/** Layouts put onto datacenters that have names, and machines picked for them. */
import { BeltError } from '../errors.ts';
import { formatTopology, type Topology } from './parse.ts';
import type { Placed } from './quorum.ts';

/** What the planner needs of a machine. */
export interface Candidate {
  readonly name: string;
  /** `driver:region` or `driver:region/zone`. */
  readonly datacenter: string;
}

export interface Assigned<C extends Candidate = Candidate> {
  readonly datacenter: string;
  readonly machines: readonly C[];
}

/** The layout on `datacenters`, in their order. Throws `topology` unless they are as many as the layout has, each once. */
export function placementOf(topology: Topology, datacenters: readonly string[]): Placed[] {
  const needed = topology.layout.length;
  const spec = formatTopology(topology);
  const twice = datacenters.find((datacenter, index) => datacenters.indexOf(datacenter) !== index);
  if (twice !== undefined) throw new BeltError('topology', `datacenter ${twice} is named twice`, { next: `name ${needed} different datacenters for ${spec}` });
  if (datacenters.length !== needed) {
    throw new BeltError('topology', `${spec} spreads over ${needed} ${needed === 1 ? 'datacenter' : 'datacenters'}, ${datacenters.length} given`, { next: `name ${needed}, or choose another topology` });
  }
  return datacenters.map((datacenter, index) => ({ datacenter, managers: topology.layout[index] as number }));
}

/** `dc1`, `dc2`, …: names for datacenters before any is chosen. */
export function nameDatacenters(topology: Topology): string[] {
  return topology.layout.map((_, index) => `dc${index + 1}`);
}

/**
 * The datacenter of each of `count` machines that are about to be made, dealt out in turn; with a topology, a datacenter whose share of the
 * layout is full is passed over. Throws `topology` where the count is not the topology's.
 */
export function dealOut(count: number, datacenters: readonly string[], topology: Topology | null = null): string[] {
  if (topology === null) return Array.from({ length: count }, (_, index) => datacenters[index % datacenters.length] as string);
  const open = placementOf(topology, datacenters).map((placed) => ({ ...placed }));
  if (count !== topology.managers) {
    throw new BeltError('topology', `${formatTopology(topology)} places ${topology.managers} machines, the range names ${count}`, { next: 'name as many machines as the topology has managers' });
  }
  const dealt: string[] = [];
  while (dealt.length < count) {
    for (const place of open) {
      if (place.managers === 0) continue;
      place.managers -= 1;
      dealt.push(place.datacenter);
    }
  }
  return dealt;
}

/**
 * Picks the managers of a topology among machines by the datacenters they really stand in. Each part of the layout goes to a datacenter of
 * its own; parts are placed in their order, each in the first datacenter (in the order in which the machines name them) that has room and leaves
 * a place for every part that follows. Within a datacenter the first machines are taken. Throws `does_not_fit` with what is there and needed.
 */
export function assignManagers<C extends Candidate>(topology: Topology, machines: readonly C[]): Assigned<C>[] {
  const there = Map.groupBy(machines, (machine) => machine.datacenter);
  const free = new Map([...there].map(([datacenter, group]) => [datacenter, group.length]));
  return topology.layout.map((needed, index) => {
    const rest = topology.layout.slice(index + 1);
    const datacenter = [...free.keys()].find((name) => (free.get(name) as number) >= needed && fits(rest, others(free, name)));
    if (datacenter === undefined) throw doesNotFit(topology, there);
    free.delete(datacenter);
    return { datacenter, machines: (there.get(datacenter) as C[]).slice(0, needed) };
  });
}

function others(free: ReadonlyMap<string, number>, without: string): number[] {
  return [...free].filter(([name]) => name !== without).map(([, count]) => count);
}

/** Largest part against largest room, and so on: if that fails, every other matching fails too. */
function fits(parts: readonly number[], rooms: readonly number[]): boolean {
  const sorted = rooms.toSorted((a, b) => b - a);
  return parts.toSorted((a, b) => b - a).every((part, index) => part <= (sorted[index] ?? 0));
}

function doesNotFit(topology: Topology, there: ReadonlyMap<string, readonly Candidate[]>): BeltError {
  const { managers, layout } = topology;
  const counts = [...there.values()].map((group) => group.length);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const seen = there.size === 0 ? 'there are none' : `there are ${[...there].map(([datacenter, group]) => `${group.length} in ${datacenter}`).join(', ')}`;
  const needed = layout.length === 1 ? `${managers} machines in one datacenter` : `${layout.join('+')} machines in ${layout.length} datacenters`;
  const next =
    total < managers
      ? `${managers - total} more ${managers - total === 1 ? 'machine is' : 'machines are'} needed: belt create SIZE RANGE --region …`
      : `add machines where they are missing, or form the one that fits: ${formatTopology({ managers, layout: fittingLayout(managers, counts) })}`;
  return new BeltError('does_not_fit', `${formatTopology(topology)} needs ${needed}; ${seen}`, { next });
}

/** As even a spread of the managers as the rooms allow. `managers` must not exceed their sum. */
function fittingLayout(managers: number, rooms: readonly number[]): number[] {
  const layout = rooms.map(() => 0);
  for (let placed = 0; placed < managers; placed += 1) {
    const open = rooms.flatMap((room, index) => ((layout[index] as number) < room ? [index] : []));
    const least = open.reduce((best, index) => ((layout[index] as number) < (layout[best] as number) ? index : best));
    layout[least] = (layout[least] as number) + 1;
  }
  return layout.filter((count) => count > 0);
}
