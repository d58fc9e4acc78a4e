/** Machines that were destroyed are no nodes any more: the swarm is told where it can be. */
import { isBeltError } from '../errors.ts';
import { compressNames } from '../range/compress.ts';
import { forgetMachines } from '../swarm/leave.ts';
import type { Context } from './context.ts';
import { agentBook, withSwarm } from './swarm-access.ts';

/** Takes destroyed machines out of the swarm they belonged to. Where its managers are too few it says how it is made up for. */
export async function forgetNodes(ctx: Context, names: readonly string[]): Promise<void> {
  const cluster = ctx.cluster();
  const book = agentBook(cluster.files);
  const known = names.filter((name) => book.keyOf(name) !== undefined);
  if (known.length === 0) return;
  if (book.managers.length > 0) {
    try {
      await withSwarm(ctx, cluster, (swarm) => forgetMachines(swarm, known, ctx.signal));
    } catch (error) {
      if (!isBeltError(error)) throw error;
      ctx.ui.warn(`still in the list of nodes: ${compressNames(known)} (${error.message}); when there is a quorum: belt swarm leave '${compressNames(known)}'`);
    }
  }
  agentBook(cluster.files).forget(known);
}
