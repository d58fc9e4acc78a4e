/** From the state to a backup, and from a backup to the writes that make a new group know what it holds. Pure. */
import type { Backup, BackupNode } from '../api/backup.ts';
import { leaveBehind } from '../engine/swarm-record.ts';
import { COMMAND_LIMITS, type Change } from './commands.ts';
import type { NodeRecord } from './records.ts';
import type { ClusterState } from './state.ts';

/** A setting of the state: which backup it was begun from, and whether all of it is there. */
export const RESTORE_SETTINGS = { begun: 'restore.begun', done: 'restore.done' } as const;

/** What `state` knows, as of now (ms since 1970); null before the first write of a cluster. Certificates that ran out or are of a dropped CA are left out. */
export function takeBackup(state: ClusterState, epoch: number, now: number): Backup | null {
  const { cluster, authority, nodes, certificates } = state.tables;
  const [root] = authority?.roots ?? [];
  if (cluster === null || authority === null || root === undefined) return null;
  return {
    clusterId: cluster.id, clusterName: cluster.name, epoch, index: state.index, takenAt: new Date(now).toISOString(), root, generation: authority.generation,
    nodes: [...nodes.values()].map(backedUp), certificates: [...certificates.values()].filter((one) => one.notAfter > now && !state.caDropped(one)),
  };
}

function backedUp({ joinedAt: _joinedAt, revision: _revision, ...node }: NodeRecord): BackupNode {
  return { ...node, labels: { ...node.labels } };
}

/**
 * The writes after which a new group knows the workers, their labels and availability, and every certificate still in force. The managers of the
 * backup are gone for good: their certificates are revoked, so that one that comes back is believed by nobody. `self` is the node that restores;
 * what the backup says of a node of its name is about a machine that it replaces. Docker's swarm died with its managers: engines that stand in it
 * are told to leave it.
 */
export function restoreChanges(backup: Backup, self: { readonly id: string; readonly name: string }): Change[] {
  const workers = backup.nodes.filter(({ role, name }) => role === 'worker' && name !== self.name);
  const kept = new Set(workers.map(({ id }) => id));
  const lost = new Set(backup.nodes.map(({ id }) => id).filter((id) => !kept.has(id) && id !== self.id));
  const nodes = workers.flatMap((node): Change[] => {
    const { labels, availability, ...facts } = node;
    return [
      { type: 'node.add', node: { ...facts, dockerId: null } },
      ...(node.dockerId === null ? [] : [leaveBehind(node.dockerId)]),
      ...(Object.keys(labels).length === 0 ? [] : [{ type: 'node.label', node: node.id, set: labels, remove: [] } as const]),
      ...(availability === 'active' ? [] : [{ type: 'node.availability', node: node.id, availability } as const]),
    ];
  });
  const certificates = backup.certificates.flatMap(({ revokedAt, ...certificate }): Change[] => {
    const { serial, notAfter, name } = certificate;
    const revoked = revokedAt !== null || (name !== null && lost.has(name));
    return [...(name === null ? [] : [{ type: 'certificate.issued', certificate } as const]), ...(revoked ? [{ type: 'certificate.revoke', serial, notAfter } as const] : [])];
  });
  return [...nodes, ...certificates];
}

/** Characters of JSON of one write: half of what a command may carry. */
const WRITE_CHARS = 256 * 1024;

/** The writes in their order; the last says that all are there. */
export function restoreWrites(changes: readonly Change[], name: string): Change[] {
  const batches: Change[][] = [[]];
  let chars = 0;
  for (const change of changes) {
    const size = JSON.stringify(change).length;
    if (chars + size > WRITE_CHARS || (batches.at(-1)?.length ?? 0) === COMMAND_LIMITS.changes) {
      batches.push([]);
      chars = 0;
    }
    batches.at(-1)?.push(change);
    chars += size;
  }
  const writes = batches.filter((batch) => batch.length > 0).map((batch): Change => ({ type: 'all', changes: batch }));
  return [...writes, { type: 'setting.set', key: RESTORE_SETTINGS.done, value: name }];
}
