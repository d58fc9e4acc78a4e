/**
 * How the managers are, asked of each over the node plane, quorum or not. Every operation begins with it: it finds the leader, tells a lost quorum
 * before anything is sent, and is what the guard and a rebuild decide by. What decides here is pure.
 */
import { compareNames } from '../provision/fleet.ts';
import { wayOn } from '../provision/way-on.ts';
import { noQuorum, quorumOf } from '../topology/quorum.ts';
import { BeltError } from '../errors.ts';
import type { CallResult } from '../swarm-agent/api/calls.ts';

export type Health = CallResult<'node.health'>;
export type RaftView = NonNullable<Health['raft']>;
export type Member = RaftView['members'][number];

/** One machine's answer; null where it gave none. */
export interface Answer {
  readonly machine: string;
  readonly health: Health | null;
  /** Why who answered is not believed, or does not believe us: a `certificate` error. */
  readonly wrong?: BeltError;
}

export interface Survey {
  /** Raft's voters as the best-informed manager knows them; empty where no manager answered. */
  readonly voters: readonly Member[];
  /** Names of the voters that answered and belong to the same group. */
  readonly reachable: readonly string[];
  /** Name of the manager that leads, null where none does. */
  readonly leader: string | null;
  /** How often the group was reformed. */
  readonly epoch: number;
  /** Of managers that answered with the wrong certificate, or found ours wrong. */
  readonly wrong: readonly BeltError[];
}

/**
 * Orders views: the later epoch, then the log that Raft calls more up to date (paper, 5.4.1): it holds whatever was acknowledged and any of the two holds.
 * The term a member is in says nothing of its log: one that voted for a leader and heard no more of it is ahead by term and behind by entries.
 * Positive when `a` knows more.
 */
export function compareViews(a: RaftView, b: RaftView): number {
  return a.epoch - b.epoch || (a.lastTerm ?? a.term) - (b.lastTerm ?? b.term) || a.lastIndex - b.lastIndex || a.commitIndex - b.commitIndex;
}

/** What the answers say together. `known`: the managers as remembered, for the case that none answers. */
export function judgeSurvey(answers: readonly Answer[], known: readonly { readonly name: string; readonly id: string; readonly address: string }[]): Survey {
  const views = answers.flatMap(({ health }) => (health?.raft == null ? [] : [{ machine: health.machine, raft: health.raft }]));
  const wrong = answers.flatMap((answer) => answer.wrong ?? []);
  const best = views.reduce<RaftView | null>((top, { raft }) => (top === null || compareViews(raft, top) > 0 ? raft : top), null);
  if (best === null) return { voters: known.map((manager) => ({ ...manager, voter: true, datacenter: '' })), reachable: [], leader: null, epoch: 0, wrong };
  const voters = best.members.filter(({ voter }) => voter).toSorted((a, b) => compareNames(a.name, b.name));
  const answered = new Set(views.filter(({ raft }) => raft.epoch === best.epoch && raft.state !== 'stopped').map(({ machine }) => machine));
  const reachable = voters.map(({ name }) => name).filter((name) => answered.has(name));
  const leading = views.filter(({ raft }) => raft.epoch === best.epoch && raft.state === 'leader').toSorted((a, b) => b.raft.term - a.raft.term)[0];
  return { voters, reachable, leader: leading?.machine ?? null, epoch: best.epoch, wrong };
}

/** Whether enough voters answered. */
export function hasQuorum({ voters, reachable }: Survey): boolean {
  return voters.length > 0 && reachable.length >= quorumOf(voters.length);
}

/** Whether enough voters answered and only have no leader yet. */
export function isElecting(survey: Survey): boolean {
  return hasQuorum(survey) && survey.leader === null;
}

/** The refusal of a cluster call for want of managers: nothing was sent. `driverOf`: how the silent ones are switched on. */
export function quorumError({ voters, reachable, wrong }: Survey, driverOf: (name: string) => string | undefined = () => undefined): BeltError {
  // Where it is for their certificates that there are too few, that is what is to be mended.
  if (wrong[0] !== undefined && reachable.length + wrong.length >= quorumOf(voters.length)) return wrong[0];
  const silent = voters.map(({ name }) => name).filter((name) => !reachable.includes(name));
  return new BeltError('no_quorum', noQuorum(reachable.length, voters.length), {
    next: `start what is off (${wayOn(silent, driverOf)}), or when it is gone for good: belt swarm rebuild`,
  });
}
