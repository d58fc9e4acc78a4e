/** What an engine is told to do when its agent reports how it stands. Pure. */
import * as v from 'valibot';

const text = v.pipe(v.string(), v.maxLength(256));

/** How an engine stands, told by its own agent. */
export const EngineReport = v.object({
  version: v.nullable(text),
  /** `absent`: it does not answer. */
  swarm: v.picklist(['absent', 'inactive', 'pending', 'active', 'locked', 'error']),
  dockerId: v.nullable(text),
  isManager: v.boolean(),
  /** Of a manager's engine only: the swarm it is in. */
  tokens: v.nullable(v.object({ swarmId: text, worker: text, manager: text, autolock: v.optional(v.boolean(), false) })),
});
export type EngineReport = v.InferOutput<typeof EngineReport>;

/** What it shall do now; afterwards it reports again. */
export const Assignment = v.variant('act', [
  /** `settled`: nothing is to come either, so it need not report again soon. */
  v.object({ act: v.literal('none'), settled: v.boolean() }),
  /** Form the swarm, as its first manager. */
  v.object({ act: v.literal('init') }),
  v.object({ act: v.literal('join'), token: text, managers: v.array(text) }),
  /** Leave a swarm that went on without it. */
  v.object({ act: v.literal('leave') }),
]);
export type Assignment = v.InferOutput<typeof Assignment>;

export interface Situation {
  /** The cluster's swarm, null before it is formed. */
  readonly swarm: { readonly workerToken: string } | null;
  /** The node that forms it. */
  readonly founder: string | null;
  /** Whether the engine stands in a swarm that went on without it, or was removed from ours: it is never let in again as that node, and its way back is to leave and join. */
  readonly leftBehind: boolean;
  /** Docker's id of the node as the cluster plane knows it. */
  readonly dockerId: string | null;
  /** Where Docker's reachable managers listen, `host` or `host:port`. */
  readonly managers: readonly string[];
}

/**
 * Everybody joins as a worker, drained: labels come first, then the role (one manager at a time, its agent before it), then work.
 * An engine that is in a swarm already is left there: whether it is the right one shows when its id is in the list.
 */
export function assign(node: string, report: EngineReport, situation: Situation): Assignment {
  if (situation.leftBehind && report.swarm !== 'inactive') return { act: 'leave' };
  const wait = { act: 'none', settled: report.dockerId !== null && report.dockerId === situation.dockerId } as const;
  if (report.swarm !== 'inactive') return wait;
  if (situation.swarm === null) return situation.founder === node ? { act: 'init' } : wait;
  return situation.managers.length === 0 ? wait : { act: 'join', token: situation.swarm.workerToken, managers: [...situation.managers] };
}

/**
 * Who forms the swarm: an engine that is a swarm's manager already (made by hand: adopted), else the agents' leader, else any manager with an
 * engine. Null: nobody can, or an engine that is locked may be the swarm's manager. A founder that reports stays the founder, so that a new leader
 * does not form a second swarm.
 */
export function chooseFounder(current: string | null, leader: string, managers: readonly string[], reports: ReadonlyMap<string, EngineReport>): string | null {
  const usable = managers.filter((id) => ['inactive', 'active'].includes(reports.get(id)?.swarm ?? ''));
  const inSwarm = usable.find((id) => reports.get(id)?.isManager === true);
  if (inSwarm !== undefined) return inSwarm;
  if (managers.some((id) => reports.get(id)?.swarm === 'locked')) return null;
  if (current !== null && usable.includes(current)) return current;
  return usable.includes(leader) ? leader : (usable[0] ?? null);
}
