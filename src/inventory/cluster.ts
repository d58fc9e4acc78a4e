/** A cluster on the operator's side: its folder, its state, and the lock that whoever changes it holds. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { asBeltError, BeltError } from '../errors.ts';
import { replaceFileSync } from './atomic-file.ts';
import { clusterFolder, ensureHome, type Home } from './home.ts';
import { type Lock, takeLock } from './lock.ts';
import { encodeState } from './state-file.ts';
import { type ClusterState, emptyState } from './state.ts';
import { readState, StateStore } from './store.ts';

/** The files of a cluster (docs/architecture.md). */
export interface ClusterFiles {
  readonly folder: string;
  readonly state: string;
  readonly config: string;
  readonly lock: string;
  readonly caCertificate: string;
  readonly caKey: string;
  readonly operatorCertificate: string;
  readonly operatorKey: string;
  readonly sshKey: string;
  readonly sshPublicKey: string;
}

export function clusterFiles(home: Home, name: string): ClusterFiles {
  const folder = clusterFolder(home, name);
  const at = (file: string): string => path.join(folder, file);
  return {
    folder, state: at('state.json'), config: at('config.yml'), lock: at('lock'), caCertificate: at('ca.crt'), caKey: at('ca.key'),
    operatorCertificate: at('operator.crt'), operatorKey: at('operator.key'), sshKey: at('ssh_key'), sshPublicKey: at('ssh_key.pub'),
  };
}

export function clusterExists(home: Home, name: string): boolean {
  return existsSync(clusterFiles(home, name).state);
}

/** The state as it is on disk now, without a lock: for commands that only look. Throws `unknown_cluster`, `state_damaged`, `state_newer`. */
export function viewCluster(home: Home, name: string): ClusterState {
  const { state } = clusterFiles(home, name);
  if (!existsSync(state)) throw new BeltError('unknown_cluster', `there is no cluster '${name}' under ${home.folder}`, { next: 'belt cluster ls, or belt cluster new NAME' });
  const content = readState(state);
  if (content.cluster.name !== name) {
    throw new BeltError('state_damaged', `${state} belongs to cluster '${content.cluster.name}'`, { next: `move the folder back to ${path.join(home.folder, content.cluster.name)}` });
  }
  return content;
}

export interface OpenCluster {
  readonly files: ClusterFiles;
  readonly store: StateStore;
  /** Gives the lock back. What was changed is on disk already where `change` was awaited. */
  close(): void;
}

/** Opens a cluster for changes: takes its lock, then reads. Throws `locked`, `unknown_cluster`, `state_damaged`, `state_newer`. */
export function openCluster(home: Home, name: string, command: string, nowMs: number): OpenCluster {
  const files = clusterFiles(home, name);
  viewCluster(home, name);
  const lock = takeLock(files.lock, command, nowMs);
  try {
    const store = new StateStore(files.state, viewCluster(home, name));
    return { files, store, close: () => lock.release() };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** What a new cluster is born with. */
export interface ClusterBirth {
  /** 32 hex digits. Of an old cluster where its state was lost and its CA was not: the machines carry it as a tag. */
  readonly id: string;
  readonly sshKey: { readonly privateKey: string; readonly publicKey: string };
  /** Makes what else there is once, such as the CA. Safe to repeat. */
  readonly prepare: (files: ClusterFiles) => void;
}

/** Makes a cluster: folder and SSH key (one that is there is kept), state last, so that a folder without state is an attempt that died and is simply finished. Throws `usage` for a name that is none or taken. */
export function createCluster(home: Home, name: string, birth: ClusterBirth, command: string, nowMs: number): void {
  const files = clusterFiles(home, name);
  ensureHome(home);
  mkdirSync(files.folder, { recursive: true, mode: 0o700 });
  const lock: Lock = takeLock(files.lock, command, nowMs);
  try {
    if (existsSync(files.state)) throw new BeltError('usage', `there is a cluster '${name}' already`, { next: `belt use ${name}` });
    if (!existsSync(files.sshKey) || !existsSync(files.sshPublicKey)) {
      replaceFileSync(files.sshKey, birth.sshKey.privateKey);
      replaceFileSync(files.sshPublicKey, `${birth.sshKey.publicKey}\n`);
    }
    birth.prepare(files);
    replaceFileSync(files.state, encodeState(emptyState(name, birth.id, new Date(nowMs).toISOString())));
  } catch (error) {
    throw asBeltError(error, 'disk', { next: `make ${home.folder} writable` });
  } finally {
    lock.release();
  }
}

/** The public key line that machines of the cluster let in. */
export function clusterPublicKey(files: ClusterFiles): string {
  return readFileSync(files.sshPublicKey, 'utf8').trim();
}
