/** A cluster whose managers are all gone goes on from a backup: this machine becomes its first manager, and learns what the backup holds. */
import { createHash } from 'node:crypto';

import { caDigest } from '../certs/join-token.ts';
import { BeltError } from '../errors.ts';
import type { Agent } from './agent.ts';
import type { Backup } from './api/backup.ts';
import { initCluster } from './founding.ts';
import { RESTORE_SETTINGS, restoreChanges, restoreWrites } from './store/backup.ts';

/**
 * Makes this machine the first manager of `backup`'s cluster at `epoch`, above every epoch there was. Needs the CA's key (`install-ca`), as
 * `node.init` does. A repeat with the same backup goes on where it stopped, and changes nothing when all is there. Throws `refused` where the
 * machine is a node already, or the backup is of another cluster.
 */
export async function restoreCluster(agent: Agent, backup: Backup, epoch: number, deadline: number): Promise<{ id: string; already: boolean }> {
  const { identity } = agent;
  const { machine, clusterId } = identity.config;
  const name = createHash('sha256').update(JSON.stringify(backup)).digest('hex').slice(0, 32);
  if (backup.clusterId !== clusterId) throw new BeltError('refused', `the backup is of cluster ${backup.clusterName} (${backup.clusterId}), ${machine} of ${clusterId}`, { machine });
  if (identity.role === 'worker') throw new BeltError('refused', `${machine} is a worker of the cluster already`, { machine, next: 'restore on a machine that is no node, or belt swarm leave it first' });
  if (identity.role === 'manager') await mayGoOn(agent, name, deadline);
  const sameRoot = identity.roots[0] !== undefined && caDigest(identity.roots[0]) === caDigest(backup.root);
  const { id } = await initCluster(agent, { epoch, generation: sameRoot ? backup.generation : backup.generation + 1, name });
  const { manager } = agent;
  if (manager === null) throw new BeltError('failed', agent.trouble ?? 'the manager did not start', { machine });
  if (manager.group.state.tables.settings.get(RESTORE_SETTINGS.done)?.value === name) return { id, already: true };
  // After a crash it leads again only when it has elected itself.
  await agent.settled(deadline);
  const writes = restoreWrites(restoreChanges(backup, { id, name: machine }), name);
  for (const [at, change] of writes.entries()) await manager.group.write(`restore.${name}.${at}`, change);
  return { id, already: false };
}

/** How long a manager may take to lead, ms, before it counts as one of the swarm that was. */
const LEAD_MS = 5000;

/** A manager is one only where this restore was begun on it. */
async function mayGoOn(agent: Agent, name: string, deadline: number): Promise<void> {
  const { machine } = agent.identity.config;
  const other = (cause?: unknown): BeltError => new BeltError('refused', `${machine} manages the cluster already, and not from this backup`, { machine, cause, next: 'belt swarm rebuild goes on from it; belt swarm nodes' });
  try {
    await agent.settled(Math.min(deadline, agent.ports.clock.monotonic() + LEAD_MS));
    await agent.manager?.group.read();
  } catch (error) {
    throw other(error);
  }
  const tables = agent.manager?.group.state.tables;
  if (tables !== undefined && tables.cluster !== null && tables.settings.get(RESTORE_SETTINGS.begun)?.value !== name) throw other();
}
