/** Which of the given machines become managers: by where they really stand, in the order they were given. */
import { BeltError } from '../errors.ts';
import { plural, topologyText, type Topology } from './topology.ts';
import type { Placed } from './tolerance.ts';

export interface Candidate {
  readonly name: string;
  readonly datacenter: string;
}

export interface Assignment {
  /** The chosen machines in the order of the placement. */
  readonly managers: readonly Candidate[];
  readonly placement: readonly Placed[];
  /** Machines given and not needed. */
  readonly left: readonly Candidate[];
}

/**
 * Gives each part of the layout one of the machines' real datacenters: the largest part to the first datacenter (in the order given) that
 * has room for it, and so on. Whatever room suits a part suits every later, smaller one, so this finds a place whenever there is one. Throws
 * `does_not_fit` with what is there and what is needed.
 */
export function assignManagers(topology: Topology, machines: readonly Candidate[]): Assignment {
  const rooms = new Map<string, Candidate[]>();
  for (const machine of machines) rooms.set(machine.datacenter, [...(rooms.get(machine.datacenter) ?? []), machine]);
  if (rooms.size < topology.layout.length) throw doesNotFit(topology, rooms);
  const chosen = matchParts(topology.layout, rooms);
  if (chosen === null) throw doesNotFit(topology, rooms);
  const placement = chosen.map(([datacenter, managers]) => ({ datacenter, managers }));
  const managers = chosen.flatMap(([datacenter, count]) => (rooms.get(datacenter) as Candidate[]).slice(0, count));
  const taken = new Set(managers.map((m) => m.name));
  return { managers, placement, left: machines.filter((m) => !taken.has(m.name)) };
}

function matchParts(layout: readonly number[], rooms: ReadonlyMap<string, readonly Candidate[]>): [string, number][] | null {
  const free = [...rooms].map(([datacenter, machines]) => ({ datacenter, room: machines.length }));
  const placed: [string, number][] = [];
  for (const part of [...layout].sort((a, b) => b - a)) {
    const at = free.findIndex((f) => f.room >= part);
    if (at === -1) return null;
    placed.push([(free[at] as { datacenter: string }).datacenter, part]);
    free.splice(at, 1);
  }
  return placed;
}

function doesNotFit(topology: Topology, rooms: ReadonlyMap<string, readonly Candidate[]>): BeltError {
  const there = [...rooms].map(([datacenter, machines]) => `${machines.length} in ${datacenter}`).join(', ') || 'none';
  const needed = [...topology.layout].sort((a, b) => b - a).join(' + ');
  const where = `${topology.layout.length} ${plural(topology.layout.length, 'datacenter')}`;
  return new BeltError('does_not_fit', `the machines do not fit ${topologyText(topology)}: needed are ${needed} in ${where}; there are ${there}`, {
    next: 'create machines where they are missing (belt create SIZE RANGE --region REGION), or choose another topology (belt topology SPEC)',
  });
}
