/** What goes wrong in a run. Each run draws which troubles it has and how often, so that some runs are all crashes and others all partitions. */
import type { MemberId } from '../../src/swarm-agent/raft/types.ts';
import type { Events } from './events.ts';
import type { SimMember } from './member.ts';
import type { Network } from './network.ts';
import type { Random } from './random.ts';

interface World {
  readonly events: Events;
  readonly random: Random;
  readonly members: ReadonlyMap<MemberId, SimMember>;
  readonly network: Network;
  readonly trace: (what: string) => void;
}

type Trouble = (world: World) => void;

const someMember = ({ random, members }: World): SimMember => random.pick([...members.values()]);
const leaderOr = (world: World): SimMember => [...world.members.values()].find((member) => member.isLeader) ?? someMember(world);
/** The leader half of the time: trouble there is the most interesting. */
const victim = (world: World): SimMember => (world.random.chance(0.5) ? leaderOr(world) : someMember(world));

function crash(world: World, member: SimMember, meanDownMs: number): void {
  member.crash();
  world.events.after(world.random.exponential(meanDownMs), () => member.start());
}

function split(world: World, side: readonly MemberId[]): void {
  const others = [...world.members.keys()].filter((id) => !side.includes(id));
  const oneWay = world.random.chance(0.3);
  world.trace(`${oneWay ? 'one-way ' : ''}partition ${side.join(',')} | ${others.join(',')}`);
  world.network.partition(side, others, oneWay);
  world.events.after(world.random.exponential(500), () => {
    world.trace('partition heals');
    world.network.heal();
  });
}

const TROUBLES: Record<string, Trouble> = {
  crash: (world) => crash(world, victim(world), 300),
  'crash of all': (world) => {
    for (const member of world.members.values()) crash(world, member, 200);
  },
  'crash of some': (world) => {
    for (const member of world.members.values()) if (world.random.chance(0.4)) crash(world, member, 300);
  },
  partition: (world) => split(world, [...world.members.keys()].filter(() => world.random.chance(0.5))),
  isolation: (world) => split(world, [victim(world).id]),
  pause: (world) => victim(world).pause(world.random.exponential(300)),
  'slow disk': (world) => {
    const { random, events } = world;
    const { disk } = victim(world);
    disk.slowness = random.between(5, 60);
    events.after(random.exponential(400), () => void (disk.slowness = 1));
  },
  'failing disk': (world) => {
    const { random, events } = world;
    const { disk } = victim(world);
    disk.failing = 0.05;
    events.after(random.exponential(300), () => void (disk.failing = 0));
  },
  'clock skew': (world) => someMember(world).setClockRate(world.random.between(0.7, 1.4)),
  transfer: (world) => leaderOr(world).transfer(world.random.chance(0.5) ? null : someMember(world).id),
  'transfers to everybody': (world) => {
    // One is given up after two election timeouts; its message may come late and make two candidates of one term.
    for (let at = 0; at < 4; at += 1) world.events.after(at * 55, () => leaderOr(world).transfer(someMember(world).id));
  },
  membership: (world) => changeSomething(world.members, world.random, leaderOr(world)),
  'membership again': (world) => {
    // A second change on the heels of the first, at everybody who thinks it leads.
    for (const member of world.members.values()) for (const _ of [1, 2]) if (member.isLeader) changeSomething(world.members, world.random, member);
  },
  'membership behind a partition': (world) => {
    const leader = leaderOr(world);
    const friends = [...world.members.keys()].filter((id) => id === leader.id || world.random.chance(0.3));
    split(world, friends);
    world.events.after(world.random.between(0, 100), () => changeSomething(world.members, world.random, leader));
  },
};

/** Asks a member for some change of membership that makes sense there. */
export function changeSomething(all: ReadonlyMap<MemberId, SimMember>, random: Random, at: SimMember): void {
  const members = at.node?.status(0).membership.members ?? [];
  const id = random.pick([...all.keys()]);
  const known = members.find((member) => member.id === id);
  if (known === undefined) return at.change({ kind: 'add', id, address: `${id}:1` });
  if (!known.voter) return at.change(random.chance(0.9) ? { kind: 'promote', id } : { kind: 'remove', id });
  if (random.chance(0.1)) return at.change({ kind: 'address', id, address: `${id}:${random.int(2, 9)}` });
  if (members.filter((member) => member.voter).length > 2) at.change({ kind: 'remove', id });
}

/** Begins the troubles of a run; they go on until `stopped` says so. */
export function unleash(world: World, stopped: () => boolean): void {
  const { random, events } = world;
  const kinds = Object.keys(TROUBLES).filter(() => random.chance(0.5));
  if (kinds.length === 0) return;
  const meanMs = random.between(60, 500);
  world.trace(`troubles about every ${Math.round(meanMs)} ms: ${kinds.join(', ')}`);
  const next = (): void => events.after(random.exponential(meanMs), () => {
    if (stopped()) return;
    const kind = random.pick(kinds);
    world.trace(kind);
    TROUBLES[kind]!(world);
    next();
  });
  next();
}
