/** What is remembered of a node that leaves belt, so that its Docker node goes after it. */
import type { Change } from '../store/commands.ts';
import type { NodeRecord } from '../store/records.ts';
import type { ClusterState } from '../store/state.ts';
import type { Agreed } from './reconcile.ts';

/** Settings of the state that hold what both sides agreed on about a node, by its id. */
export const AGREED_SETTING = 'engine.node.';

/** What both sides last agreed on about the node of that id. */
export function agreedOn({ settings }: ClusterState['tables'], id: string): Agreed | null {
  const known = settings.get(AGREED_SETTING + id);
  return known === undefined ? null : (JSON.parse(known.value) as Agreed);
}

/**
 * The removal of a node, in one write with the name of its Docker node where nothing has been agreed on about that one yet: a node that leaves in the
 * second after it joined stood in Docker's list for ever, down.
 */
export function removeNode(state: ClusterState, { id, dockerId, role, availability }: NodeRecord): Change {
  const agreed = agreedOn(state.tables, id);
  const remove: Change = { type: 'node.remove', node: id };
  if (dockerId === null || agreed?.dockerId === dockerId) return remove;
  const last: Agreed = { dockerId, role, availability, labels: {} };
  return { type: 'all', changes: [remove, { type: 'setting.set', key: AGREED_SETTING + id, value: JSON.stringify(last) }] };
}
