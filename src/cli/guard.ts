/** The one place where machine verbs ask whether a quorum would be broken. A cluster without managers has none to break. */
import type { ClusterView, Context, GuardedAction } from './context.ts';

/** Throws `refused` with the arithmetic when `action` on `names` would lose a quorum that is there now, unless `force`. */
export type Guard = (ctx: Context, cluster: ClusterView, names: readonly string[], action: GuardedAction, force: boolean) => Promise<void>;

/** No swarm is formed by this belt yet, so nothing is guarded. */
export const guardQuorum: Guard = async () => undefined;
