/** A cluster of real machines at the level below the command line: driver, bootstrap over SSH, the agents' API, and docker through 2376. */
import { spawn } from 'node:child_process';
import { createHash, createPublicKey } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { createDriver } from '../../drivers/docker/driver.ts';
import { bootstrapMachines } from '../../src/bootstrap/bootstrap-machines.ts';
import type { Bootstrapped } from '../../src/bootstrap/bootstrap-machine.ts';
import { authoritySigner } from '../../src/bootstrap/signer.ts';
import { createAuthority, exportKey, signKey, type Authority } from '../../src/certs/authority.ts';
import { newKey } from '../../src/certs/csr.ts';
import { factsOf } from '../../src/certs/identity.ts';
import type { Outcome } from '../../src/errors.ts';
import type { Machine } from '../../src/provision/driver.ts';
import { generateSshKeyPair } from '../../src/ssh/key-pair.ts';
import { waitForSsh } from '../../src/ssh/wait.ts';
import { type AgentClient, type AgentEndpoint, createAgentClient } from '../../src/swarm/agent-client.ts';
import { clear, clusterTag, make, OPTIONS, order, sh, until, type Said } from './stage.ts';

export interface Identity {
  readonly key: string;
  readonly cert: string;
}

const spki = (key: ReturnType<typeof newKey>['key']): Buffer => createPublicKey(key).export({ type: 'spki', format: 'der' });

export class TestCluster {
  readonly tag = clusterTag('e2e');
  readonly driver = createDriver(OPTIONS);
  readonly folder = mkdtempSync(path.join(tmpdir(), 'belt-e2e-'));
  readonly ssh = generateSshKeyPair('e2e');
  readonly authority: Authority = createAuthority(this.tag.clusterId, Date.now());
  /** Another cluster's operator: the same name under another CA. */
  readonly stranger = createAuthority('f'.repeat(32), Date.now());
  readonly operator = this.identity('operator', 'alice');
  readonly client: AgentClient;
  machines: Machine[] = [];

  constructor() {
    this.client = createAgentClient(
      { clusterId: this.tag.clusterId, key: this.operator.key, cert: this.operator.cert, roots: [this.authority.certificate] },
      { identify: (certificate) => factsOf(certificate) },
    );
  }

  /** A key with a certificate of this cluster's CA. */
  identity(role: 'operator' | 'worker' | 'machine' | 'manager', name: string, authority = this.authority): Identity {
    const { key, pem } = newKey();
    return { key: pem, cert: signKey(authority, spki(key), { cluster: authority.cluster, role, name }, { nowMs: Date.now() }).certificate };
  }

  async create(machines: readonly [name: string, region: string][], type = '1gb'): Promise<void> {
    this.machines = await make(this.driver, order(this.tag, machines, this.ssh.publicKey, type));
  }

  machine(name: string): Machine {
    const found = this.machines.find((machine) => machine.name === name);
    if (found === undefined) throw new Error(`no machine ${name}`);
    return found;
  }

  bootstrap(): Promise<Outcome<Bootstrapped>[]> {
    return bootstrapMachines({
      machines: this.machines, cluster: { id: this.tag.clusterId, name: this.tag.cluster, roots: [this.authority.certificate] },
      signer: authoritySigner(this.authority, Date.now), engineOf: () => ({ kind: 'docker', version: '', installUrl: '' }), signal: AbortSignal.timeout(500_000),
      connect: (machine, signal) => this.connect(machine, signal),
    });
  }

  connect(machine: Machine, signal: AbortSignal = AbortSignal.timeout(60_000)) {
    return waitForSsh({
      host: machine.publicIpv4!, port: machine.sshPort, user: machine.sshUser, privateKey: this.ssh.privateKey, hostKey: 'first-sight', machine: machine.name, signal, budgetMs: 60_000,
    });
  }

  /** Runs a command on a machine over belt's own SSH. */
  async on(name: string, command: string, stdin?: string): Promise<Said> {
    await using connection = await this.connect(this.machine(name));
    const result = await connection.exec(command, { stdin, timeoutMs: 120_000 });
    return { code: result.code ?? -1, stdout: result.stdout, stderr: result.stderr };
  }

  agent(name: string): AgentEndpoint {
    return { machine: name, address: `${this.machine(name).publicIpv4!}:2378` };
  }

  /** The first manager gets the CA's key inside the SSH conversation and makes the cluster. */
  async init(name: string): Promise<void> {
    const installed = await this.on(name, '/opt/belt/node /opt/belt/belt-agent.mjs install-ca', JSON.stringify({ certificate: this.authority.certificate, key: exportKey(this.authority) }));
    if (installed.code !== 0) throw new Error(installed.stderr);
    await this.client.call(this.agent(name), 'node.init', {}, { timeoutMs: 90_000 });
  }

  /** Joins all of them at once. */
  async join(first: string, role: 'manager' | 'worker', names: readonly string[]): Promise<void> {
    const { token } = await this.client.cluster([this.agent(first)], 'token.show', { role });
    const managers = [this.agent(first).address];
    await Promise.all(names.map((name) => this.client.call(this.agent(name), 'node.join', { managers, token }, { timeoutMs: 120_000 })));
  }

  /** What makes the host's docker client speak to 2376 of a machine as `identity`, or without a certificate. */
  #dockerFlags(name: string, identity: Identity | null): string[] {
    const certs = path.join(this.folder, identity === null ? 'none' : `certs-${createHash('sha256').update(identity.cert).digest('hex').slice(0, 16)}`);
    mkdirSync(certs, { recursive: true });
    writeFileSync(path.join(certs, 'ca.pem'), this.authority.certificate);
    const flags = ['--tlsverify', `--tlscacert=${certs}/ca.pem`, '-H', `tcp://${this.machine(name).publicIpv4!}:2376`];
    if (identity === null) return flags;
    writeFileSync(path.join(certs, 'cert.pem'), identity.cert);
    writeFileSync(path.join(certs, 'key.pem'), identity.key, { mode: 0o600 });
    return [...flags, `--tlscert=${certs}/cert.pem`, `--tlskey=${certs}/key.pem`];
  }

  get #dockerEnv(): NodeJS.ProcessEnv {
    return { PATH: process.env['PATH'], HOME: this.folder, DOCKER_API_VERSION: '1.41', TERM: 'xterm' };
  }

  async docker(name: string, args: readonly string[], identity: Identity | null = this.operator, options: { input?: string; timeoutMs?: number; legacyBuild?: boolean } = {}): Promise<Said> {
    const env = { ...this.#dockerEnv, ...(options.legacyBuild === true ? { DOCKER_BUILDKIT: '0' } : {}) };
    return sh('docker', [...this.#dockerFlags(name, identity), ...args], { env, ...options });
  }

  /** The docker client on a terminal of its own, which script(1) provides. `line` is shell text. */
  dockerOnTerminal(name: string, line: string): Promise<Said> {
    return sh('script', ['-qec', `docker ${this.#dockerFlags(name, this.operator).join(' ')} ${line}`, '/dev/null'], { env: this.#dockerEnv });
  }

  /** A docker command that goes on until it is stopped. */
  dockerProcess(name: string, args: readonly string[]): { text(): string; stop(): Promise<void> } {
    const child = spawn('docker', [...this.#dockerFlags(name, this.operator), ...args], { env: this.#dockerEnv, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; });
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    return { text: () => text, stop: () => { child.kill(); return ended; } };
  }

  /** `docker node ls` as rows: hostname, status, availability, manager status. */
  async nodeRows(name: string): Promise<string[]> {
    const said = await this.docker(name, ['node', 'ls', '--format', '{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}']);
    if (said.code !== 0) throw new Error(said.stderr);
    return said.stdout.trim().split('\n').map((line) => line.trim()).sort();
  }

  /** Waits until Docker shows so many managers and nodes, all ready and active. */
  async formed(name: string, managers: number, nodes: number, ms = 90_000): Promise<string[]> {
    let rows: string[] = [];
    try {
      return await until(`${managers} managers and ${nodes} nodes in Docker`, ms, async () => {
        rows = await this.nodeRows(name);
        return rows.length === nodes && rows.every((row) => / Ready Active/.test(row)) && rows.filter((row) => / (Leader|Reachable)$/.test(row)).length === managers && rows;
      });
    } catch (error) {
      console.log(rows.join('\n'), await this.story());
      throw error;
    }
  }

  /** What the agents have to say, for a failure that must be understood from the log alone. */
  async story(): Promise<string> {
    const told = await Promise.all(this.machines.map(async ({ name }) => {
      const agent = this.agent(name);
      const { problems } = await this.client.call(agent, 'node.health', {});
      const { lines } = await this.client.call(agent, 'node.logs', { lines: 20 });
      return [`--- ${name} ${problems.join('; ')}`, ...lines].join('\n');
    }).map((promise) => promise.catch(String)));
    const status = await this.client.cluster(this.machines.map(({ name }) => this.agent(name)), 'cluster.status', {}).then(({ warnings }) => warnings.join('\n'), String);
    return [...told, status].join('\n');
  }

  /** A small image on these machines, under these names: busybox of this host, as no registry can be reached. */
  async loadImage(names: readonly string[], tags: readonly string[]): Promise<void> {
    const root = path.join(this.folder, 'image');
    mkdirSync(path.join(root, 'bin'), { recursive: true });
    mkdirSync(path.join(root, 'www'));
    copyFileSync('/bin/busybox', path.join(root, 'bin/busybox'));
    writeFileSync(path.join(root, 'www/index.html'), 'hello from busybox\n');
    for (const applet of ['sh', 'httpd', 'cat', 'echo', 'sleep', 'seq', 'yes', 'hostname', 'tty', 'wc', 'true', 'ls']) symlinkSync('busybox', path.join(root, 'bin', applet));
    await sh('tar', ['-C', root, '-cf', path.join(this.folder, 'image.tar'), '.']);
    const text = readFileSync(path.join(this.folder, 'image.tar')).toString('base64');
    for (const name of names) {
      for (const tag of tags) {
        const said = await this.on(name, `base64 -d | docker import -c 'CMD ["httpd","-f","-p","80","-h","/www"]' - ${tag}`, text);
        if (said.code !== 0) throw new Error(said.stderr);
      }
    }
  }

  async close(): Promise<void> {
    this.client.close();
    await clear(this.driver, this.tag);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
