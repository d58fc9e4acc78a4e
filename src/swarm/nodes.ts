/** The nodes as the cluster knows them now, or as a manager last knew them when there is no quorum. */
import { BeltError, isBeltError } from '../errors.ts';
import type { CallResult } from '../swarm-agent/api/calls.ts';
import { compareViews } from './survey.ts';
import type { Swarm } from './swarm.ts';

export type NodeRow = CallResult<'cluster.nodes'>['nodes'][number];

export interface NodeList {
  readonly nodes: readonly NodeRow[];
  /** Null: this is how it is now. Else why that cannot be told, and since when the list is old (ISO 8601; null: nobody knows). */
  readonly stale: { readonly error: BeltError; readonly asOf: string | null } | null;
}

/** The nodes. Without a quorum the best-informed manager's last list, every status `unknown`; rejects with `no_quorum` where no manager answers at all. */
export async function listNodes(swarm: Swarm): Promise<NodeList> {
  try {
    return { nodes: (await swarm.cluster('cluster.nodes', {})).nodes, stale: null };
  } catch (error) {
    if (!isBeltError(error, 'no_quorum') && !isBeltError(error, 'outcome_unknown')) throw error;
    const known = await lastKnown(swarm);
    if (known === null) throw error;
    const nodes = known.nodes.map((node): NodeRow => ({ ...node, status: 'unknown', managerStatus: null }));
    return { nodes, stale: { error, asOf: known.asOf } };
  }
}

async function lastKnown(swarm: Swarm): Promise<CallResult<'node.cluster'> | null> {
  const { reachable } = await swarm.survey();
  const answers = await swarm.healths(reachable);
  const views = answers.flatMap(({ machine, health }) => (health?.raft == null ? [] : [{ machine, raft: health.raft }]));
  for (const { machine } of views.toSorted((a, b) => compareViews(b.raft, a.raft))) {
    try {
      return await swarm.node(machine, 'node.cluster', {}, { timeoutMs: 1000 });
    } catch (error) {
      if (!isBeltError(error, 'unreachable') && !isBeltError(error, 'timeout')) throw error;
    }
  }
  return null;
}
