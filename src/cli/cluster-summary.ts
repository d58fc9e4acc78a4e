/** A cluster in one line: as its managers say where a swarm is formed, else by its machines, of which active ones count as ready. */
import { isBeltError } from '../errors.ts';
import { clusterFiles } from '../inventory/cluster.ts';
import type { Current } from '../inventory/home.ts';
import type { ClusterState } from '../inventory/state.ts';
import { compareNames } from '../provision/fleet.ts';
import { Context } from './context.ts';
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

/** What is known of the cluster now. Managers that do not answer, or are too few, leave what was last known of them. */
export async function summarizeCluster(outer: Context, name: string, state: Readonly<ClusterState>, current: Current): Promise<ClusterSummary> {
  const machines = Object.values(state.machines);
  const plain = { cluster: name, current: current.cluster === name, active: current.active[name] ?? null };
  const book = agentBook(clusterFiles(outer.home, name));
  if (book.managers.length === 0) {
    return { ...plain, leader: null, managers: null, ready: machines.filter((machine) => machine.status === 'active').length, total: machines.length };
  }
  const ctx = new Context(outer.ports, outer.ui, { ...outer.flags, cluster: name }, outer.command);
  try {
    const { nodes } = await withSwarm(ctx, ctx.cluster(), (swarm) => swarm.cluster('cluster.nodes', {}));
    const managers = nodes.filter(({ role }) => role === 'manager');
    return {
      ...plain, leader: managers.find(({ managerStatus }) => managerStatus === 'leader')?.name ?? null, managers: managers.map((node) => node.name),
      ready: nodes.filter(({ status }) => status === 'ready').length, total: nodes.length,
    };
  } catch (error) {
    if (!isBeltError(error)) throw error;
    outer.ui.warn(`${name}: ${error.message}`);
    return { ...plain, leader: null, managers: book.managers.map((manager) => manager.name).sort(compareNames), ready: null, total: null };
  }
}
