/**
 * Whether an act on managers keeps the quorum. Stopping a machine leaves it a voter that does not answer; leaving and demoting take the vote
 * away, so the majority itself gets smaller. Refusals carry the arithmetic.
 */
import { plural, quorumOf } from './topology.ts';

export interface QuorumQuestion {
  /** Names of all managers that vote. */
  readonly voters: readonly string[];
  /** Of these, the ones that answer now. */
  readonly reachable: readonly string[];
  /** Names of machines the act concerns; others than voters do not matter. */
  readonly losing: readonly string[];
  /** `silence`: they stop answering and keep their vote (stop, kill, rm). `removal`: they lose their vote (leave, demote). */
  readonly by: 'silence' | 'removal';
}

export type Verdict =
  | { readonly allowed: true; /** Set where the act is allowed and leaves nothing to spare. */ readonly warning: string | null }
  | { readonly allowed: false; readonly reason: string };

/** Judges the act. A quorum that is gone already cannot be lost: silence is then allowed, removal is not, since it needs a quorum to be written. */
export function judgeLoss(question: QuorumQuestion): Verdict {
  const { voters, by } = question;
  const lost = voters.filter((name) => question.losing.includes(name));
  if (lost.length === 0) return { allowed: true, warning: null };
  const reachable = voters.filter((name) => question.reachable.includes(name));
  const quorum = quorumOf(voters.length);
  if (reachable.length < quorum) {
    return by === 'silence' ? { allowed: true, warning: null } : { allowed: false, reason: `${reachable.length} of ${voters.length} managers reachable, ${quorum} needed: no manager can be removed without a quorum` };
  }
  const left = reachable.filter((name) => !lost.includes(name)).length;
  return by === 'silence' ? judgeSilence(lost, left, voters.length, quorum) : judgeRemoval(lost, left, voters.length);
}

function judgeSilence(lost: readonly string[], left: number, voters: number, quorum: number): Verdict {
  const whose = `without ${lost.join(', ')} ${left} of ${voters} ${plural(voters, 'manager')} would be reachable`;
  if (left < quorum) return { allowed: false, reason: `${whose}, ${quorum} needed` };
  return { allowed: true, warning: left === quorum ? `${whose}, ${quorum} needed: none to spare` : null };
}

/** One manager at a time: each step needs the majority of the members before it, and the members after it need a reachable majority too. */
function judgeRemoval(lost: readonly string[], left: number, voters: number): Verdict {
  const members = voters - lost.length;
  const name = lost.join(', ');
  if (members === 0) return { allowed: false, reason: `${name} ${lost.length === 1 ? 'is the last manager' : 'are the last managers'}: the cluster would end` };
  const needed = quorumOf(members);
  if (left < needed) return { allowed: false, reason: `without ${name} the cluster has ${members} ${plural(members, 'manager')}, ${left} reachable, ${needed} needed` };
  return { allowed: true, warning: left === needed && members > 1 ? `without ${name} ${left} of ${members} managers are reachable, ${needed} needed: none to spare` : null };
}
