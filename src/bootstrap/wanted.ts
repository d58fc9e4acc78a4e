/** What a machine shall be after its bootstrap: everything the steps compare its facts with. */
import { createHash } from 'node:crypto';

import type { AgentBundle } from '../swarm-agent/bundle.ts';
import type { Machine } from '../provision/driver.ts';
import { renderFile } from './render.ts';

/** The cluster a machine is made part of. */
export interface BootstrapCluster {
  readonly id: string;
  readonly name: string;
  /** Roots in force, PEM, the signing one first. */
  readonly roots: readonly string[];
  /** How long certificates that its managers sign live, ms; not there: as long as the role's do. */
  readonly certificateLifetimeMs?: number | undefined;
  /** Raft's limits on managers where they are not the defaults. */
  readonly raft?: Readonly<Record<string, number>> | undefined;
}

export interface EngineWish {
  /** `none`: leave engines alone. */
  readonly kind: 'docker' | 'none';
  /** Debian's version of docker.io, empty for the newest. */
  readonly version: string;
  /** A script that installs Docker Engine instead of the package manager, empty for none. */
  readonly installUrl: string;
}

/** A file for the machine with its checksum. */
export interface WantedFile {
  readonly bytes: Buffer;
  readonly sha256: string;
}

export interface Wanted {
  readonly machine: string;
  readonly cluster: BootstrapCluster;
  readonly config: WantedFile;
  readonly agent: AgentBundle;
  /** `link`: the machine is a folder of this host. */
  readonly delivery: 'link' | 'send';
  /** SHA-256 of the runtime's program, or where it is linked to. */
  readonly runtime: { readonly sha256: string } | { readonly link: string };
  readonly unit: WantedFile;
  readonly start: WantedFile;
  readonly sysctl: WantedFile;
  readonly engine: EngineWish;
  /** Sign a new certificate although the old one holds (`belt certs renew`). */
  readonly renew: boolean;
  /** ms since 1970. */
  readonly nowMs: number;
}

/** The port agents listen on. */
export const AGENT_PORT = 2378;

/** The address under which operator and members reach a machine. Null while the cloud has given none. */
export function addressOf(machine: Pick<Machine, 'publicIpv4' | 'privateIpv4'>): string | null {
  return machine.publicIpv4 ?? machine.privateIpv4;
}

/** `agent.json` of a machine. `local` listens on its own loopback address only; others on all. */
export function agentConfig(machine: Machine, cluster: BootstrapCluster): WantedFile {
  const host = addressOf(machine) ?? '';
  const { name, datacenter, driver, region, size, publicIpv4, privateIpv4 } = machine;
  return file(`${JSON.stringify({
    version: 1, clusterId: cluster.id, clusterName: cluster.name, machine: name, address: `${host}:${AGENT_PORT}`,
    listen: `${driver === 'local' ? host : '0.0.0.0'}:${AGENT_PORT}`, datacenter, driver, region, size, publicIpv4, privateIpv4,
    certificateLifetimeMs: cluster.certificateLifetimeMs, raft: cluster.raft,
  }, null, 1)}\n`);
}

/** The files that are the same on all machines of a cluster. */
export function serviceFiles(cluster: BootstrapCluster, compileCache: string): Pick<Wanted, 'unit' | 'start' | 'sysctl'> {
  return {
    unit: file(renderFile('belt-agent.service', { cluster: cluster.name })),
    start: file(renderFile('belt-agent.start', { cluster: cluster.name, compile_cache: compileCache })),
    sysctl: file(renderFile('sysctl.conf')),
  };
}

function file(text: string): WantedFile {
  const bytes = Buffer.from(text);
  return { bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
}
