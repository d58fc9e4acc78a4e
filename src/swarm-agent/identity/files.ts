/**
 * The agent's files on its machine (docs/architecture.md). Secrets are 0600 in 0700 folders; every write is made aside, synced and renamed,
 * so that a crash leaves the old text or the new one.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as v from 'valibot';

import { BeltError } from '../../errors.ts';
import { Id, Membership } from '../api/shapes.ts';
import { parseAgentConfig, type AgentConfig } from './config.ts';

const NodeFile = v.object({
  version: v.literal(1),
  id: Id,
  membership: Membership,
  /** The generation of the root that signed the node's certificate. */
  generation: v.number(),
});
/** `node.json`: who this node is and what it last knew of the cluster. */
export type NodeFile = v.InferOutput<typeof NodeFile>;

const JoinFile = v.object({ nonce: Id });
const SealFile = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));

/** All paths below `root` (empty on a real machine). */
export function agentPaths(root: string) {
  const state = join(root, '/var/lib/belt');
  return {
    config: join(root, '/etc/belt/agent.json'),
    state,
    pki: join(state, 'pki'),
    key: join(state, 'pki/agent.key'),
    /** The certificate in use. */
    cert: join(state, 'pki/agent.crt'),
    /** The one that bootstrap gave, kept for the day the node leaves. */
    machineCert: join(state, 'pki/machine.crt'),
    roots: join(state, 'pki/ca.crt'),
    /** Installed over SSH for `node.init`, gone after it: the key is in the replicated state then, sealed. */
    caKey: join(state, 'pki/ca.key'),
    sealKey: join(state, 'pki/seal.key'),
    revoked: join(state, 'pki/revoked.json'),
    node: join(state, 'node.json'),
    join: join(state, 'join.json'),
    pending: join(state, 'pending-certificates.json'),
    raft: join(state, 'raft'),
    /** The Raft files of the group as it was before a rebuild that left this manager behind: kept for the operator, never read. */
    raftAside: join(state, 'raft.old'),
    pid: join(state, 'agent.pid'),
  } as const;
}
export type AgentPaths = ReturnType<typeof agentPaths>;

/** The text of a file, null when it does not exist. Throws `BeltError('disk')`. */
export function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new BeltError('disk', `cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Replaces a file atomically, 0600, its folders 0700; one that holds the text already is left alone. Throws `BeltError('disk')`. `synced` false is for
 * what can be learned again: it survives the process, and after a power cut the file may be the old one.
 */
export function writeText(path: string, text: string, { synced = true }: { readonly synced?: boolean } = {}): void {
  if (readText(path) === text) return;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const aside = `${path}.new`;
    writeFileSync(aside, text, { mode: 0o600, flush: synced });
    renameSync(aside, path);
    if (synced) syncFolder(dirname(path));
  } catch (error) {
    throw new BeltError('disk', `cannot write ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** Makes renames in a folder durable. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Reads and writes what an agent keeps. Methods throw `BeltError`: `disk`, `state_damaged`. */
export class AgentFiles {
  readonly paths: AgentPaths;

  constructor(root: string) {
    this.paths = agentPaths(root);
  }

  /** Throws `BeltError('no_agent')` where bootstrap has not been. */
  config(): AgentConfig {
    const text = readText(this.paths.config);
    if (text === null) throw new BeltError('no_agent', `${this.paths.config} is missing`, { next: 'belt bootstrap RANGE' });
    return parseAgentConfig(text, this.paths.config);
  }

  /** Key, certificate and roots, PEM. Throws `BeltError('no_agent')` where one is missing. */
  credentials(): { readonly key: string; readonly cert: string; readonly roots: string } {
    const { key, cert, roots } = this.paths;
    const need = (path: string): string => {
      const text = readText(path);
      if (text === null) throw new BeltError('no_agent', `${path} is missing`, { next: 'belt bootstrap RANGE' });
      return text;
    };
    return { key: need(key), cert: need(cert), roots: need(roots) };
  }

  node(): NodeFile | null {
    return this.#json(this.paths.node, NodeFile);
  }

  saveNode(node: NodeFile, { synced }: { readonly synced: boolean }): void {
    writeText(this.paths.node, `${JSON.stringify(node, null, 1)}\n`, { synced });
  }

  /** Serials known to be revoked; kept beside `node.json` because it outlives the node's membership. */
  revoked(): string[] {
    return this.#json(this.paths.revoked, v.array(v.string())) ?? [];
  }

  saveRevoked(serials: readonly string[]): void {
    writeText(this.paths.revoked, `${JSON.stringify(serials)}\n`);
  }

  /** The nonce of a join that is under way: written before the first try, so that every repeat is the same node. */
  joinNonce(fresh: () => string): string {
    const known = this.#json(this.paths.join, JoinFile);
    if (known !== null) return known.nonce;
    const nonce = fresh();
    writeText(this.paths.join, JSON.stringify({ nonce }), { synced: false });
    return nonce;
  }

  sealKey(): string | null {
    const text = readText(this.paths.sealKey);
    if (text === null) return null;
    const outcome = v.safeParse(SealFile, text.trim());
    if (!outcome.success) throw new BeltError('state_damaged', `${this.paths.sealKey} is damaged`, { next: 'belt swarm demote this manager and promote it again' });
    return outcome.output;
  }

  saveSealKey(hex: string): void {
    writeText(this.paths.sealKey, `${hex}\n`);
  }

  /** The CA key that `install-ca` brought; it is there until `node.init` has put it into the state, sealed. */
  caKey(): string | null {
    return readText(this.paths.caKey);
  }

  remove(path: string): void {
    rmSync(path, { recursive: true, force: true });
  }

  /** What only a manager may hold: Raft files, sealing key, CA key. */
  wipeManager(): void {
    for (const path of [this.paths.raft, this.paths.raftAside, `${this.paths.raft}.new`, this.paths.sealKey, this.paths.caKey, this.paths.pending]) this.remove(path);
  }

  #json<S extends v.GenericSchema>(path: string, schema: S): v.InferOutput<S> | null {
    const text = readText(path);
    if (text === null) return null;
    try {
      return v.parse(schema, JSON.parse(text));
    } catch (error) {
      throw new BeltError('state_damaged', `${path} is damaged: ${(error as Error).message}`, { cause: error, next: 'belt swarm leave this node and join it again' });
    }
  }
}
