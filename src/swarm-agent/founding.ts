/** The first manager: it makes itself one with the CA key that came over SSH, and puts what it takes to run the cluster into the state. */
import { X509Certificate, createPublicKey, randomBytes } from 'node:crypto';

import { loadAuthority } from '../certs/authority.ts';
import { factsOf } from '../certs/identity.ts';
import { newSecret } from '../certs/join-token.ts';
import { BeltError } from '../errors.ts';
import type { Agent } from './agent.ts';
import { splitAddress } from './api/client.ts';
import { AUTHORITY_PURPOSE, tokenPurpose } from './api/enrolment.ts';
import type { Membership } from './api/shapes.ts';
import { writeEpochs } from './epoch.ts';
import { issue, nodeIdOf } from './identity/certificates.ts';
import { pause } from './ports.ts';
import { RESTORE_SETTINGS } from './store/backup.ts';
import type { Change } from './store/commands.ts';
import { createSealer, newSealingKey } from './store/sealer.ts';

/** 128 random bits, hex. */
export function newNonce(): string {
  return randomBytes(16).toString('hex');
}

/** How long the only voter may take to elect itself, ms. */
const LEAD_MS = 10_000;

/** The first manager of a cluster that was before: where its epoch and its roots go on, and the name under which the restore is known. */
export interface Resumed {
  readonly epoch: number;
  readonly generation: number;
  readonly name: string;
}

/**
 * Makes this machine the first manager, of a new cluster or of one that is restored. Every part is there before the next leans on it, so a repeat after a
 * crash goes on where it stopped.
 */
export async function initCluster(agent: Agent, resumed: Resumed | null = null): Promise<{ id: string; already: boolean }> {
  const { identity, ports } = agent;
  const { files } = ports;
  if (identity.role === 'worker') throw new BeltError('refused', `${identity.config.machine} is a worker of the cluster already`, { machine: identity.config.machine, next: 'belt swarm promote' });
  const key = files.caKey();
  if (key === null) {
    if (identity.role === 'manager') return { id: identity.certificate.name, already: true };
    throw new BeltError('refused', `${identity.config.machine} has not been given the CA’s key`, { machine: identity.config.machine, next: 'belt swarm init gives it over SSH' });
  }
  if (files.sealKey() === null) files.saveSealKey(newSealingKey().toString('hex'));
  if (identity.role === 'machine') becomeManager(agent, key, resumed);
  await agent.playRole();
  await firstWrite(agent, key, resumed);
  files.remove(files.paths.caKey);
  return { id: identity.certificate.name, already: false };
}

function becomeManager({ identity, ports }: Agent, caKey: string, resumed: Resumed | null): void {
  const { config } = identity;
  const publicKey = createPublicKey(identity.key).export({ type: 'spki', format: 'der' });
  const id = nodeIdOf(config.clusterId, publicKey, ports.files.joinNonce(newNonce));
  const root = identity.roots[0];
  if (root === undefined) throw new BeltError('no_agent', 'the roots are missing', { next: 'belt bootstrap RANGE' });
  const { pem } = issue({
    ca: loadAuthority(root, caKey), publicKey, cluster: config.clusterId, role: 'manager', name: id,
    hosts: [config.machine, splitAddress(config.address)[0]], now: ports.clock.now(), lifetimeMs: ports.lifetimeMs,
  });
  const membership: Membership = {
    version: 0, managers: [{ id, name: config.machine, address: config.address }], roots: identity.roots.join(''), revoked: [], role: 'manager',
    generation: resumed?.generation ?? 1, nodes: 1, epoch: resumed?.epoch ?? 0,
  };
  if (resumed !== null) writeEpochs(ports.files.paths.raft, { epoch: resumed.epoch, newer: null });
  identity.become(pem, membership);
}

/** Cluster, node, tokens and CA in one write, under an id of its own: a repeat is the same write. */
async function firstWrite(agent: Agent, caKey: string, resumed: Resumed | null): Promise<void> {
  const { identity, ports } = agent;
  const manager = agent.manager;
  if (manager === null) throw new BeltError('failed', agent.trouble ?? 'the manager did not start', { machine: identity.config.machine });
  const { clock, engine, files, version } = ports;
  const deadline = clock.monotonic() + LEAD_MS;
  while (manager.group.status().role !== 'leader') {
    if (clock.monotonic() > deadline) throw new BeltError('timeout', `${identity.config.machine} did not become leader of itself within ${LEAD_MS / 1000} s`, { machine: identity.config.machine });
    await pause(clock, 10, AbortSignal.timeout(LEAD_MS));
  }
  await manager.group.read();
  if (manager.group.state.tables.cluster !== null) return;
  const sealer = createSealer(Buffer.from(files.sealKey()!, 'hex'));
  const { config, certificate } = identity;
  const { machine: name, address, datacenter, publicIpv4, privateIpv4, driver, region, size, clusterId, clusterName } = config;
  const { serial, fingerprint } = factsOf(new X509Certificate(certificate.pem));
  // A CA made for a rotation before there was a swarm comes with that rotation; nodes of a former life may hold certificates of either.
  const roots = resumed === null ? identity.roots.slice(0, 1) : identity.roots;
  const changes: Change[] = [
    { type: 'cluster.init', clusterId, name: clusterName },
    { type: 'authority.set', authority: { generation: resumed?.generation ?? 1, phase: 'steady', roots, key: sealer.seal(AUTHORITY_PURPOSE, caKey) } },
    {
      type: 'node.add',
      node: {
        id: certificate.name, name, role: 'manager', address, publicIpv4, privateIpv4, driver, datacenter, region, size, engine: engine.kind, dockerId: null,
        agentVersion: version, certificate: { serial, fingerprint, notAfter: certificate.notAfter },
      },
    },
    ...(['worker', 'manager'] as const).map((role): Change => ({ type: 'token.rotate', role, secret: sealer.seal(tokenPurpose(role), newSecret()) })),
    ...(resumed === null ? [] : [{ type: 'setting.set', key: RESTORE_SETTINGS.begun, value: resumed.name } as const]),
  ];
  await manager.group.write(`init.${clusterId}`, { type: 'all', changes });
}
