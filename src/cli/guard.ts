/** The one place where machine verbs ask whether a quorum would be broken. A cluster without managers has none to break. */
import { BeltError } from '../errors.ts';
import { judgeLoss, type LossAct } from '../topology/quorum.ts';
import type { ClusterView, Context, GuardedAction } from './context.ts';
import { agentBook, withSwarm } from './swarm-access.ts';

/** What a verb does to managers; null where it takes nothing away. */
const ACTS: Readonly<Record<GuardedAction, LossAct | null>> = { start: null, stop: 'stop', kill: 'kill', pause: 'stop', resize: 'stop', rm: 'destroy' };

/** Throws `refused` with the arithmetic when `action` on `names` would lose a quorum that is there now, unless `force`. */
export async function guardQuorum(ctx: Context, cluster: ClusterView, names: readonly string[], action: GuardedAction, force: boolean): Promise<void> {
  const act = ACTS[action];
  if (act === null || force || !cluster.exists) return;
  const known = agentBook(cluster.files).managers;
  // Workers come and go without anybody being asked; who manages is remembered since it was formed here or first looked at.
  if (known.length > 0 && !known.some(({ name }) => names.includes(name))) return;
  // Nobody known: managers there are none where belt has been on no machine. Else they are looked for, as what is remembered may be lost.
  if (known.length === 0 && agentBook(cluster.files).bootstrapped.length === 0 && Object.keys(cluster.state.hostKeys).length === 0) return;
  const { voters, reachable } = await withSwarm(ctx, cluster, (swarm) => swarm.census());
  const verdict = judgeLoss({ act, voters: voters.map(({ name }) => name), reachable, losing: names });
  if (!verdict.allowed) throw new BeltError('refused', verdict.reason, { next: 'belt swarm status; --force does it all the same' });
}
