/** Which engine this machine has. */
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';

import type { Engine } from './engine.ts';
import { noEngine } from './none.ts';

/** Where distributions and Docker's own packages put the daemon: an engine that is installed and only not up yet is an engine. */
const DAEMONS = ['/usr/bin/dockerd', '/usr/sbin/dockerd', '/usr/local/bin/dockerd'];

/** Docker Engine where it is installed. A machine that is a folder of another one (`root` not empty: `local`) has none, and is spared its client. */
export async function engineOf(root: string, machine: string): Promise<Engine> {
  if (root !== '') return noEngine(machine);
  const { dockerEngine, DOCKER_SOCKET } = await import('./docker.ts');
  return [DOCKER_SOCKET, ...DAEMONS].some((file) => existsSync(file)) ? dockerEngine() : noEngine(machine);
}

/** Whether Docker's autolock keeps this manager's key and log shut to all who do not have the unlock key. */
export async function swarmSealed({ dataRoot }: Pick<Engine, 'dataRoot'>): Promise<boolean> {
  const key = await readFile(path.join(dataRoot, 'swarm', 'certificates', 'swarm-node.key'), 'latin1').catch(() => '');
  return key.includes('ENCRYPTED');
}

/** Copies the engine's swarm directory (its Raft log, certificates and keys) below `folder`, before it is changed for good. */
export async function saveSwarmFolder({ dataRoot }: Pick<Engine, 'dataRoot'>, folder: string, now: Date): Promise<void> {
  const from = path.join(dataRoot, 'swarm');
  if (!existsSync(from)) return;
  const target = path.join(folder, `docker-swarm-${now.toISOString().replace(/[:.]/g, '-')}`);
  await mkdir(target, { recursive: true, mode: 0o700 });
  await cp(from, target, { recursive: true, preserveTimestamps: true });
}
