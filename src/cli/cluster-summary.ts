/** A cluster in one line. Where no agents answer, its nodes are its machines: active ones count as ready. */
import type { Current } from '../inventory/home.ts';
import type { ClusterState } from '../inventory/state.ts';
import type { Context } from './context.ts';

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

/** What is known of the cluster from its state. The place where agents are asked once a swarm is formed. */
export async function summarizeCluster(_ctx: Context, name: string, state: Readonly<ClusterState>, current: Current): Promise<ClusterSummary> {
  const machines = Object.values(state.machines);
  return {
    cluster: name, current: current.cluster === name, active: current.active[name] ?? null, leader: null, managers: null,
    ready: machines.filter((machine) => machine.status === 'active').length, total: machines.length,
  };
}
