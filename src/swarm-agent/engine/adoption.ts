/** What somebody made of Docker's node by hand becomes belt's record. Pure. */
import type { Change } from '../store/commands.ts';
import type { NodeRecord } from '../store/records.ts';
import type { Action } from './reconcile.ts';

/** The writes of an adoption; none for a node that was removed meanwhile. */
export function adoption(action: Extract<Action, { do: 'adopt' }>, node: NodeRecord | undefined): Change[] {
  if (node === undefined) return [];
  const changes: Change[] = [];
  if (action.role !== undefined) changes.push({ type: 'node.role', node: node.id, role: action.role });
  if (action.availability !== undefined) changes.push({ type: 'node.availability', node: node.id, availability: action.availability });
  const { labels } = action;
  if (labels !== undefined) changes.push({ type: 'node.label', node: node.id, set: labels, remove: Object.keys(node.labels).filter((key) => !Object.hasOwn(labels, key)) });
  return changes;
}
