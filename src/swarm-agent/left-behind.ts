/**
 * Managers that were off while the cluster was rebuilt: how the leader of the newer epoch calls them back, and how they come. One that has heard of a
 * newer epoch takes no more writes (`RunningGroup.outlived`); what it holds may be the only copy of something, so it is set aside, not thrown
 * away, and only when the leader of the newer epoch, by a round of its quorum, has taken this manager in.
 */
import { BeltError, asBeltError, isBeltError } from '../errors.ts';
import type { Agent } from './agent.ts';
import type { CheckedParams } from './api/calls.ts';
import type { ManagerAddress, Membership } from './api/shapes.ts';
import { managerAddresses } from './api/view.ts';
import { leftBehind } from './epoch.ts';
import type { Manager } from './manager.ts';
import type { Peers } from './session/peers.ts';

/** Comes back to the managers of the newer epoch. Rejects with why not yet, or with what the operator has to do. */
export async function comeBack(agent: Agent, { group }: Manager): Promise<void> {
  const { machine, address } = agent.identity.config;
  try {
    const membership = await newerMembership(agent, group.epoch);
    // The managers to turn to are those of the newer epoch from here on.
    agent.learn(membership);
    if (membership.role === 'worker') return await agent.renewer.renew({ byOthers: true });
    const { epoch } = await agent.peers.any(agent.managers(), 'member.enter', { address, epoch: membership.epoch }, { timeoutMs: 3000 });
    if (epoch > group.epoch) await agent.enterAnew(epoch);
  } catch (error) {
    const why = asBeltError(error);
    const next = why.code === 'certificate' && !why.retryable ? `; when the swarm is to have it back: belt swarm leave ${machine} --force, then belt swarm join` : '';
    throw new BeltError('no_quorum', `${leftBehind(group.epoch, group.newerEpoch ?? group.epoch).message}: ${why.message}${next}`, { machine, cause: why });
  }
}

/** What the first manager of a newer epoch that answers says this node shall be. The connection has shown that it is a manager of the cluster. */
async function newerMembership(agent: Agent, epoch: number): Promise<Membership> {
  let last = new BeltError('unreachable', 'none of them answers');
  for (const manager of agent.managers()) {
    try {
      const membership = await agent.peers.call(manager, 'member.membership', {}, { timeoutMs: 2000 });
      if (membership.epoch > epoch) return membership;
    } catch (error) {
      // A word about our certificate tells more than the silence of those that are off.
      if (!isBeltError(last, 'certificate')) last = asBeltError(error);
    }
  }
  throw last;
}

/** Tells managers by their role that are not in Raft where the cluster goes on: they may be left behind, and know none of the managers there are now. */
export async function callBack(peers: Peers, { group }: Manager): Promise<void> {
  const status = group.status();
  if (group.epoch === 0 || status.role !== 'leader') return;
  const members = new Set(status.membership.members.map(({ id }) => id));
  const absent = [...group.state.tables.nodes.values()].filter(({ id, role }) => role === 'manager' && !members.has(id));
  const here = { epoch: group.epoch, managers: managerAddresses(group.state, status).map(({ address }) => address) };
  await Promise.all(absent.map((node: ManagerAddress) => peers.call(node, 'member.recall', here, { timeoutMs: 2000 }).catch(() => undefined)));
}

/** Answers {@link callBack}. */
export function calledBack(agent: Agent, { epoch, managers }: CheckedParams<'member.recall'>): { changed: boolean } {
  const group = agent.manager?.group;
  if (group === undefined || epoch <= group.epoch) return { changed: false };
  agent.hint(managers);
  group.outlived(epoch);
  return { changed: true };
}
