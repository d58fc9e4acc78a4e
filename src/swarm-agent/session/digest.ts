import type { Membership } from '../api/shapes.ts';

/** What a membership says to every node alike. */
export type CommonMembership = Omit<Membership, 'role' | 'generation'>;

/** What matters of it: the version alone changes with every write, the number of nodes with every join. */
export function digestOf(membership: CommonMembership): string {
  const { managers, roots, revoked, nodes, epoch } = membership;
  return JSON.stringify([managers, roots, revoked, Math.ceil(Math.log2(nodes + 1)), epoch]);
}
