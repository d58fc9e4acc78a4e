/**
 * Whether Docker's ports are open between those who join and those they join, before they do: an engine behind a closed port only says that a call took
 * too long, minutes later. Agents try by TCP; UDP (7946, 4789) shows itself to nobody who does not answer it, so that is not tried.
 */
import type { CallResult } from '../swarm-agent/api/calls.ts';
import { REACH_MAX } from '../swarm-agent/api/calls.ts';
import { runAll } from '../provision/run-all.ts';
import type { Swarm } from './swarm.ts';

/** Docker's ports between members: its managers, and the gossip that overlay networks live by. */
const PORT = { managers: 2377, gossip: 7946 } as const;
/** Other members that each joiner tries by gossip's port: a rule that is missing shows on some machine, without each trying all. */
const PEERS = 3;

/** A machine and the host under which members reach it. */
export interface Place {
  readonly name: string;
  readonly host: string;
}

export interface Target {
  readonly name: string;
  /** `host:port`. */
  readonly address: string;
}

/** What one joiner tries. */
export interface Trial {
  /** Without these it cannot join. */
  readonly managers: readonly Target[];
  /** Without these it joins, and its overlay networks suffer. */
  readonly peers: readonly Target[];
}

/** What a joiner tries: every manager, and a few of `members` drawn by `random`, uniform in [0, 1). */
export function trialOf(joiner: string, managers: readonly Place[], members: readonly Place[], random: () => number): Trial {
  const drawn = new Set<Place>();
  // A few draws more than peers, since one may hit the joiner itself or somebody twice; in a cluster of two nobody else is there to be hit.
  for (let draw = 0; draw < PEERS * 4 && drawn.size < PEERS; draw += 1) {
    const place = members[Math.floor(random() * members.length)];
    if (place !== undefined && place.name !== joiner) drawn.add(place);
  }
  return { managers: managers.filter(({ name }) => name !== joiner).map((place) => target(place, PORT.managers)), peers: [...drawn].map((place) => target(place, PORT.gossip)) };
}

/** What a manager tries, in parts that one call takes. */
export function partsOf(joiners: readonly Place[]): Target[][] {
  const targets = joiners.map((place) => target(place, PORT.managers));
  return Array.from({ length: Math.ceil(targets.length / REACH_MAX) }, (_, part) => targets.slice(part * REACH_MAX, (part + 1) * REACH_MAX));
}

function target({ name, host }: Place, port: number): Target {
  return { name, address: `${host.includes(':') ? `[${host}]` : host}:${port}` };
}

/** A sentence for each target that `from` did not reach. */
export function findings(from: string, targets: readonly Target[], { unreached }: CallResult<'node.reach'>): string[] {
  return unreached.map(({ address, why }) => `${from} cannot reach ${targets.find((one) => one.address === address)?.name ?? 'a machine'} at ${address} (${why})`);
}

/** Lets every manager try every joiner; what went wrong, by joiner. A manager whose agent does not answer says nothing here: the join will. */
export async function tryFromManagers(swarm: Swarm, managers: readonly Place[], joiners: readonly Place[], limit: number, signal: AbortSignal): Promise<Map<string, string[]>> {
  const calls = managers.flatMap(({ name }) => partsOf(joiners.filter((joiner) => joiner.name !== name)).map((targets) => ({ name, targets })));
  const found = new Map<string, string[]>();
  await runAll(calls, async ({ name, targets }) => {
    const said = await swarm.node(name, 'node.reach', { addresses: targets.map(({ address }) => address) }, { timeoutMs: 20_000 });
    for (const one of said.unreached) {
      const joiner = targets.find(({ address }) => address === one.address)?.name ?? '';
      found.set(joiner, [...(found.get(joiner) ?? []), ...findings(name, targets, { unreached: [one] })]);
    }
  }, { limit, signal, nameOf: ({ name }) => name });
  return found;
}

/** Lets a joiner try what it needs. `blocking`: without it the join would fail. */
export async function tryFromJoiner(swarm: Swarm, joiner: string, { managers, peers }: Trial): Promise<{ blocking: string[]; warnings: string[] }> {
  // More managers than one call takes are none that Docker could work with.
  const targets = [...managers, ...peers].slice(0, REACH_MAX);
  if (targets.length === 0) return { blocking: [], warnings: [] };
  const said = await swarm.node(joiner, 'node.reach', { addresses: [...new Set(targets.map(({ address }) => address))] }, { timeoutMs: 20_000 });
  const needed = new Set(managers.map(({ address }) => address));
  const part = (blocking: boolean): string[] => findings(joiner, targets, { unreached: said.unreached.filter(({ address }) => needed.has(address) === blocking) });
  return { blocking: part(true), warnings: part(false) };
}
