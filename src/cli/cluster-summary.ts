/** A cluster in one line. Its nodes are the swarm's where managers answer, else its machines: active ones count as ready. */
import { isBeltError } from '../errors.ts';
import type { Current } from '../inventory/home.ts';
import type { ClusterView, Context } from './context.ts';
import { agentBook, withSwarm } from './swarm-access.ts';

export interface ClusterSummary {
  readonly cluster: string;
  readonly current: boolean;
  /** The machine docker lines go to. */
  readonly active: string | null;
  readonly leader: string | null;
  readonly managers: readonly string[] | null;
  readonly ready: number | null;
  readonly total: number | null;
}

/** What is known of the cluster: from its managers where it has some, as they were last seen where too few of them answer. */
export async function summarizeCluster(ctx: Context, cluster: ClusterView, current: Current): Promise<ClusterSummary> {
  const machines = Object.values(cluster.state.machines);
  const summary: ClusterSummary = {
    cluster: cluster.name, current: current.cluster === cluster.name, active: current.active[cluster.name] ?? null, leader: null, managers: null,
    ready: machines.filter((machine) => machine.status === 'active').length, total: machines.length,
  };
  let known: string[] = [];
  try {
    known = agentBook(cluster.files).managers.map(({ name }) => name);
    if (known.length === 0) return summary;
    const { leader, managers, workers } = await withSwarm(ctx, cluster, (swarm) => swarm.cluster('cluster.status', {}));
    const answering = managers.filter(({ status }) => status !== 'unreachable').length;
    return { ...summary, leader, managers: managers.map(({ name }) => name).sort(), ready: answering + workers.ready, total: managers.length + workers.total };
  } catch (error) {
    if (!isBeltError(error)) throw error;
    ctx.ui.warn(`${cluster.name}: ${error.message}`);
    return { ...summary, managers: known.length === 0 ? null : known.toSorted() };
  }
}
