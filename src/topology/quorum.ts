/** The arithmetic of majorities: what a placement of managers survives, and whether managers may be taken away. */

/** Managers in one datacenter. */
export interface Placed {
  readonly datacenter: string;
  readonly managers: number;
}

/** What may be lost for good without losing control. */
export interface Tolerance {
  /** This many managers, whichever they are. */
  readonly nodes: number;
  /** Any one of these datacenters. */
  readonly datacenters: readonly string[];
  /** Both datacenters of any one of these pairs. */
  readonly datacenterPairs: readonly (readonly [string, string])[];
}

/** The majority of `managers` (at least 1): floor(M/2)+1. */
export function quorumOf(managers: number): number {
  return Math.floor(managers / 2) + 1;
}

/** What a placement survives; datacenters in the order given, pairs in the order of their first, then second. */
export function toleranceOf(placement: readonly Placed[]): Tolerance {
  const managers = placement.reduce((sum, placed) => sum + placed.managers, 0);
  const spare = managers - quorumOf(managers);
  const datacenters = placement.filter((placed) => placed.managers <= spare).map((placed) => placed.datacenter);
  const datacenterPairs = placement.flatMap((one, index) =>
    placement.slice(index + 1).filter((other) => one.managers + other.managers <= spare).map((other) => [one.datacenter, other.datacenter] as const),
  );
  return { nodes: Math.max(0, spare), datacenters, datacenterPairs };
}

/**
 * What is about to happen to managers:
 * - `stop`, `kill`: they stay members and may come back;
 * - `destroy`: they stay members and never come back;
 * - `leave`, `demote`: they stop being members, so the majority shrinks with them.
 */
export type LossAct = 'stop' | 'kill' | 'destroy' | 'leave' | 'demote';

export interface LossQuestion {
  readonly act: LossAct;
  /** Every manager that counts (Raft's voters), by name. */
  readonly voters: readonly string[];
  /** Those of them that answer now. */
  readonly reachable: readonly string[];
  /** The machines the act is about; those that are no voters do not matter. */
  readonly losing: readonly string[];
}

/** `reason` is a sentence with the arithmetic, for the message of a refusal. */
export type LossVerdict = { readonly allowed: true } | { readonly allowed: false; readonly reason: string };

const DOING: Readonly<Record<LossAct, string>> = { stop: 'stopping', kill: 'killing', destroy: 'destroying', leave: 'removing', demote: 'demoting' };

/**
 * Whether the act leaves a majority. Members are removed one after another, the unreachable ones first: removing those never hurts, and each
 * reachable one that follows makes it harder or leaves it as it is, so the state before the first and the one after the last decide for all.
 */
export function judgeLoss({ act, voters, reachable, losing }: LossQuestion): LossVerdict {
  const lost = new Set(losing.filter((name) => voters.includes(name)));
  const alive = voters.filter((name) => reachable.includes(name));
  const left = alive.filter((name) => !lost.has(name)).length;
  const [all, needed] = [voters.length, quorumOf(voters.length)];
  if (lost.size === 0) return { allowed: true };
  const what = `${DOING[act]} ${listed([...lost])}`;
  if (act === 'stop' || act === 'kill') {
    if (left === alive.length || left >= needed) return { allowed: true };
    return { allowed: false, reason: `${what} leaves ${left} of ${all} managers reachable, ${needed} needed` };
  }
  if (act === 'destroy') {
    if (left >= needed) return { allowed: true };
    if (left < alive.length) return { allowed: false, reason: `${what} leaves ${left} of ${all} managers reachable, ${needed} needed` };
    return { allowed: false, reason: `${noQuorum(left, all)}, and ${what} ends the hope that ${lost.size === 1 ? 'it comes' : 'they come'} back` };
  }
  if (alive.length < needed) return { allowed: false, reason: noQuorum(alive.length, all) };
  const members = all - lost.size;
  if (members === 0) return { allowed: false, reason: `${what} leaves no manager` };
  if (left >= quorumOf(members)) return { allowed: true };
  return { allowed: false, reason: `${what} leaves ${left} reachable of ${members} ${members === 1 ? 'manager' : 'managers'}, ${quorumOf(members)} needed` };
}

/** `losing` in the order in which {@link judgeLoss} takes them to go: those that are no voters, then the unreachable ones, the reachable ones last. */
export function lossOrder({ voters, reachable, losing }: Omit<LossQuestion, 'act'>): string[] {
  const rank = (name: string): number => (!voters.includes(name) ? 0 : reachable.includes(name) ? 2 : 1);
  return losing.toSorted((a, b) => rank(a) - rank(b));
}

/** "2 of 5 managers reachable, 3 needed": the words for a lost quorum, the same everywhere. */
export function noQuorum(reachable: number, voters: number): string {
  return `${reachable} of ${voters} managers reachable, ${quorumOf(voters)} needed`;
}

function listed(names: readonly string[]): string {
  return names.length <= 4 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;
}
