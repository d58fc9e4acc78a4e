/** A cluster of agents in one process, over real TLS on loopback, each with its own folder and port. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { isBeltError } from '../../src/errors.ts';
import { createAuthority, exportKey, signCsr, type Authority } from '../../src/certs/authority.ts';
import { createCsr, newKey } from '../../src/certs/csr.ts';
import { factsOf } from '../../src/certs/identity.ts';
import type { Role } from '../../src/certs/profiles.ts';
import { createAgentClient, type AgentClient, type AgentEndpoint } from '../../src/swarm/agent-client.ts';
import { Agent } from '../../src/swarm-agent/agent.ts';
import { noEngine } from '../../src/swarm-agent/engine/none.ts';
import { groupStarter, reformGroup } from '../../src/swarm-agent/group.ts';
import { AgentFiles, writeText } from '../../src/swarm-agent/identity/files.ts';
import { systemClock } from '../../src/swarm-agent/ports.ts';
import { freePort } from './ports.ts';

/** One machine of the harness: bootstrapped, its agent running or not. */
export interface TestMachine {
  readonly name: string;
  readonly files: AgentFiles;
  readonly endpoint: AgentEndpoint;
  readonly lines: string[];
  agent: Agent | null;
}

export interface HarnessOptions {
  /** Of nodes' certificates, ms. Default 30 days. */
  readonly lifetimeMs?: number;
}

export class Harness {
  readonly clusterId = randomBytes(16).toString('hex');
  readonly machines = new Map<string, TestMachine>();
  readonly root = mkdtempSync(join(tmpdir(), 'belt-agents-'));
  readonly client: AgentClient;
  readonly #options: HarnessOptions;
  readonly #clients: AgentClient[] = [];
  ca: Authority;

  constructor(options: HarnessOptions = {}) {
    this.#options = options;
    this.ca = createAuthority(this.clusterId, Date.now());
    this.client = this.clientAs('operator', 'test');
  }

  /** Key and certificate of that role and name, signed by `ca`. */
  credentials(role: Role, name: string, { ca = this.ca, lifetimeMs, nowMs = Date.now() }: { ca?: Authority; lifetimeMs?: number; nowMs?: number } = {}) {
    const { key, pem } = newKey();
    const { certificate, serial } = signCsr(ca, createCsr(key, name), { cluster: ca.cluster, role, name }, { nowMs, hosts: [name, '127.0.0.1'], ...(lifetimeMs === undefined ? {} : { lifetimeMs }) });
    return { key: pem, cert: certificate, serial };
  }

  /** A client with a certificate of its own. */
  clientAs(role: Role, name: string, options: Parameters<Harness['credentials']>[2] = {}): AgentClient {
    const { key, cert } = this.credentials(role, name, options);
    return this.clientWith(key, cert);
  }

  clientWith(key: string, cert: string): AgentClient {
    const client = createAgentClient({ clusterId: this.clusterId, key, cert, roots: [this.ca.certificate] }, { identify: factsOf });
    this.#clients.push(client);
    return client;
  }

  /** A bootstrapped machine with a running agent. */
  async machine(name: string, { datacenter = 'local:a', start = true }: { datacenter?: string; start?: boolean } = {}): Promise<TestMachine> {
    const files = new AgentFiles(join(this.root, name));
    const address = `127.0.0.1:${await freePort()}`;
    const { key, cert } = this.credentials('machine', name);
    const config = {
      version: 1, clusterId: this.clusterId, clusterName: 'test', machine: name, address, listen: address, datacenter, driver: 'local', region: 'a', size: '512mb',
      publicIpv4: '127.0.0.1', privateIpv4: null,
    };
    writeText(files.paths.config, JSON.stringify(config));
    writeText(files.paths.key, key);
    writeText(files.paths.cert, cert);
    writeText(files.paths.machineCert, cert);
    writeText(files.paths.roots, this.ca.certificate);
    const machine: TestMachine = { name, files, endpoint: { machine: name, address }, lines: [], agent: null };
    this.machines.set(name, machine);
    if (start) await this.start(machine);
    return machine;
  }

  async start(machine: TestMachine): Promise<Agent> {
    const { files, lines } = machine;
    machine.agent = await Agent.start({
      files, clock: systemClock, random: Math.random, log: (line) => void lines.push(`${Math.round(performance.now())} ${line}`), logTail: (count) => lines.slice(-count),
      engine: noEngine(machine.name), startGroup: groupStarter(systemClock, Math.random), reformGroup, version: '0.0.0-test', lifetimeMs: this.#options.lifetimeMs ?? 30 * 86_400_000,
      machineFacts: () => ({ hostname: machine.name, os: 'test', kernel: 'test', arch: 'x64', cpus: 1, memoryMb: 1, pid: process.pid, nodeVersion: process.version }),
    });
    return machine.agent;
  }

  async stop(...machines: TestMachine[]): Promise<void> {
    for (const machine of machines) {
      const { agent } = machine;
      machine.agent = null;
      await agent?.stop();
    }
  }

  /** Makes `machine` the first manager, as `swarm init` does. */
  async init(machine: TestMachine): Promise<void> {
    writeText(machine.files.paths.caKey, exportKey(this.ca));
    await this.client.call(machine.endpoint, 'node.init', {});
  }

  async token(role: 'worker' | 'manager', via: TestMachine): Promise<string> {
    return (await this.client.cluster([via.endpoint], 'token.show', { role })).token;
  }

  async join(machine: TestMachine, role: 'worker' | 'manager', via: TestMachine): Promise<void> {
    await this.client.call(machine.endpoint, 'node.join', { managers: [via.endpoint.address], token: await this.token(role, via) });
  }

  /** A cluster with so many managers and workers, all joined: `mg0`…, `node0`…. */
  async cluster(managers: number, workers = 0): Promise<{ managers: TestMachine[]; workers: TestMachine[] }> {
    const made: TestMachine[] = [];
    for (let i = 0; i < managers; i++) made.push(await this.machine(`mg${i}`, { datacenter: `local:${'abc'[i % 3]}` }));
    const [first, ...others] = made;
    await this.init(first!);
    for (const other of others) await this.join(other, 'manager', first!);
    const joined: TestMachine[] = [];
    for (let i = 0; i < workers; i++) joined.push(await this.machine(`node${i}`));
    // A window, as the CLI has one: joiners, managers and operator share one thread here.
    let next = 0;
    const joinRest = async (): Promise<void> => {
      for (let machine = joined[next++]; machine !== undefined; machine = joined[next++]) await this.join(machine, 'worker', first!);
    };
    await Promise.all(Array.from({ length: 16 }, joinRest));
    return { managers: made, workers: joined };
  }

  async nodes(via: TestMachine) {
    return (await this.client.cluster([via.endpoint], 'cluster.nodes', {})).nodes;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    // Workers first, then managers but one at a time: nobody waits for an election.
    await Promise.all([...this.machines.values()].map((machine) => this.stop(machine)));
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** The machine whose agent leads. */
export function leaderOf(machines: readonly TestMachine[]): TestMachine | undefined {
  return machines.find(({ agent }) => agent?.manager?.group.status().role === 'leader');
}

/** Looks until `check` is true: what is waited for has its own events in the agents, and the deadline is the test's. */
export async function until<T>(check: () => T | Promise<T>, what: string, deadlineMs = 10_000): Promise<Exclude<T, false | null | undefined>> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    // While managers elect a leader nobody can be asked; that is 'not yet'.
    const found = await Promise.resolve()
      .then(check)
      .catch((error: unknown): undefined => {
        if (!isBeltError(error, 'no_quorum')) throw error;
      });
    if (found !== undefined && found !== null && found !== false) return found as Exclude<T, false | null | undefined>;
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

