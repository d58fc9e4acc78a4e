/** A command's way to the cluster's agents and machines: credentials, remembered managers, SSH connections, the CA. */
import { existsSync } from 'node:fs';
import path from 'node:path';

import type { EngineWish } from '../bootstrap/wanted.ts';
import { BeltError } from '../errors.ts';
import type { ClusterFiles, OpenCluster } from '../inventory/cluster.ts';
import { readCurrent } from '../inventory/home.ts';
import type { ClusterState } from '../inventory/state.ts';
import type { Machine } from '../provision/driver.ts';
import { raftLimits } from '../swarm-agent/identity/config.ts';
import { AgentBook } from '../swarm/agent-book.ts';
import { MachineConnections } from '../swarm/machine-connections.ts';
import type { Hands } from '../swarm/operations.ts';
import { Swarm } from '../swarm/swarm.ts';
import { certificateLifetime } from './certificate-lifetime.ts';
import { readAuthority, readCredentials, readRoots, readSshKey } from './cluster-credentials.ts';
import type { ClusterView, Context } from './context.ts';
import { CA_PASSPHRASE, ensureAuthority } from './new-cluster.ts';
import { noCluster } from './unknown-machines.ts';

/** Machines worked on at once over SSH or TLS, where the configuration says nothing. */
const CONCURRENCY = 50;

/** What is remembered of a cluster's agents. */
export function agentBook(files: ClusterFiles): AgentBook {
  return new AgentBook(path.join(files.folder, 'agents.json'));
}

/** Runs `act` with the cluster's agents in reach; nothing is locked and nothing dialed before it asks. Throws `unknown_cluster` where nobody has made it. */
export async function withSwarm<T>(ctx: Context, cluster: ClusterView, act: (swarm: Swarm) => Promise<T>): Promise<T> {
  if (!cluster.exists) throw noCluster(cluster);
  const swarm = openSwarm(ctx, cluster.files, cluster.state);
  try {
    return await act(swarm);
  } finally {
    swarm.close();
  }
}

/** Runs `act` with the cluster locked and everything an operation works with. Throws `unknown_cluster` where nobody has made it. */
export async function withHands<T>(ctx: Context, act: (hands: Hands, open: OpenCluster) => Promise<T>): Promise<T> {
  const { top } = await ctx.settings();
  const limit = Number(top.concurrency?.value ?? CONCURRENCY);
  const certificateLifetimeMs = certificateLifetime(top.certificate_lifetime?.value, ctx.ports.env);
  const raft = raftLimits((top.raft?.value ?? []) as string[]) ?? undefined;
  const wish = await engineWish(ctx);
  const asked = ctx.cluster();
  if (!asked.exists) throw noCluster(asked);
  return ctx.change(async (open) => {
    const { files, store, tag } = open;
    const id = store.state.cluster.id;
    ensureAuthority(files, id, ctx.ports);
    const authority = readAuthority(files, ctx.ports.env[CA_PASSPHRASE] || undefined);
    const roots = readRoots(files).join('');
    const swarm = openSwarm(ctx, files, store.state);
    let isSaid = false;
    const onKeyRefused = (error: BeltError, budgetMs: number): void => {
      // Once a command: a hundred machines that boot are no hundred lines.
      if (!isSaid) ctx.ui.note(`${error.message}; it may be booting, waiting up to ${budgetMs / 1_000} s (${error.next ?? ''})`);
      isSaid = true;
    };
    const connections = new MachineConnections({
      keyFile: files.sshKey, readKey: () => readSshKey(files), onKeyRefused, now: ctx.ports.now, pinned: (name) => store.state.hostKeys[name] ?? null,
      pin: (name, key) => store.change((state) => void (state.hostKeys[name] = key)),
    });
    try {
      return await act({ swarm, connections, cluster: { id, name: tag.cluster, certificateLifetimeMs, raft }, authority, roots, engineOf: (machine) => engineOf(machine, wish), now: ctx.ports.now, signal: ctx.signal, limit }, open);
    } finally {
      swarm.close();
    }
  });
}

function openSwarm(ctx: Context, files: ClusterFiles, state: Readonly<ClusterState>): Swarm {
  if (![files.operatorKey, files.operatorCertificate, files.caCertificate].every(existsSync)) {
    throw new BeltError('failed', `cluster ${ctx.clusterName} has no certificates yet`, { next: "belt create SIZE RANGE, then belt swarm form M/D RANGE" });
  }
  const credentials = readCredentials(files, state.cluster.id);
  const active = readCurrent(ctx.home).active[ctx.clusterName] ?? null;
  return new Swarm({ credentials, book: agentBook(files), machines: new Map(Object.entries(state.machines)), active, met: Object.keys(state.hostKeys), signal: ctx.signal, warn: (message) => ctx.ui.warn(message) });
}

async function engineWish(ctx: Context): Promise<EngineWish> {
  const { top } = await ctx.settings();
  const text = (key: 'engine_version' | 'engine_install_url'): string => String(top[key]?.value ?? '');
  return { kind: top.engine?.value === 'none' ? 'none' : 'docker', version: text('engine_version'), installUrl: text('engine_install_url') };
}

/** Machines of `local` share this host's kernel and have no engine of their own. */
function engineOf(machine: Machine, wish: EngineWish): EngineWish {
  return machine.driver === 'local' ? { ...wish, kind: 'none' } : wish;
}
