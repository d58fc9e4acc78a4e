/** A cluster of real agent processes on the driver `local`, formed by lines of belt; its agents are ended, frozen and started from here. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { machinePaths } from '../../drivers/local/machine-record.ts';
import { readPem } from '../../src/certs/authority.ts';
import { factsOf, splitPem } from '../../src/certs/identity.ts';
import { createAgentClient, type AgentClient, type AgentEndpoint, type OperatorCredentials } from '../../src/swarm/agent-client.ts';
import { agentPaths } from '../../src/swarm-agent/identity/files.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One machine with its agent. */
export interface LocalNode {
  readonly name: string;
  readonly endpoint: AgentEndpoint;
  /** Its folder, which is `/` to it. */
  readonly root: string;
  /** Of its programs, kept from its first agent. */
  readonly env: Readonly<Record<string, string>>;
}

export interface LocalClusterOptions {
  /** `5/3`; the managers are mg0…, dealt out over that many datacenters. */
  readonly topology: string;
  /** node1… */
  readonly workers: number;
  readonly env?: Readonly<Record<string, string>>;
}

interface ListedMachine {
  readonly name: string;
  readonly id: string;
  readonly publicIpv4: string;
}

export class LocalCluster {
  readonly folder = mkdtempSync(join(tmpdir(), 'belt-drill-'));
  readonly env: NodeJS.ProcessEnv;
  readonly managers: LocalNode[] = [];
  readonly workers: LocalNode[] = [];
  readonly #clients: AgentClient[] = [];

  private constructor(env: Readonly<Record<string, string>>) {
    this.env = { PATH: process.env['PATH'], HOME: this.folder, BELT_LOCAL_HOME: join(this.folder, 'm'), ...env };
  }

  /** Machines, agents, managers in their datacenters, workers. Rejects with what belt said, and leaves nothing. */
  static async form({ topology, workers, env = {} }: LocalClusterOptions): Promise<LocalCluster> {
    const cluster = new LocalCluster(env);
    try {
      const [managers, datacenters] = topology.split('/').map(Number) as [number, number];
      const range = `mg[0:${managers - 1}]`;
      await cluster.must('create', '512mb', range, '--topology', topology, '--region', 'a,b,c,d,e,f,g'.split(',').slice(0, datacenters).join());
      if (workers > 0) await cluster.must('create', '512mb', `node[1:${workers}]`, '--region', 'a');
      await cluster.must('swarm', 'form', topology, range);
      if (workers > 0) await cluster.must('swarm', 'join', 'mg0', `node[1:${workers}]`);
      await cluster.#find();
      return cluster;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  get nodes(): LocalNode[] {
    return [...this.managers, ...this.workers];
  }

  /** Runs a line of belt as a process of its own. */
  async belt(...words: readonly string[]): Promise<Ended> {
    const child = spawn(process.execPath, [MAIN, ...words], { cwd: this.folder, env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    // `exit`, not `close`: the host of the machines may keep the pipes.
    const [code] = (await once(child, 'exit')) as [number | null];
    await new Promise((resolve) => setImmediate(resolve));
    child.stdout.destroy();
    child.stderr.destroy();
    return { code: code ?? 1, stdout, stderr };
  }

  /** Runs a line that has to work. */
  async must(...words: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.belt(...words);
    if (code !== 0) throw new Error(`belt ${words.join(' ')} ended with ${code}: ${stderr}`);
    return stdout;
  }

  file(name: string): string {
    return join(this.folder, '.belt', 'default', name);
  }

  /** The operator's credentials as they are on disk now. */
  credentials(): OperatorCredentials {
    const text = (name: string): string => readFileSync(this.file(name), 'utf8');
    const { cluster } = factsOf(readPem(text('operator.crt')));
    return { clusterId: cluster, key: text('operator.key'), cert: text('operator.crt'), roots: splitPem(text('ca.crt')) };
  }

  client(credentials: OperatorCredentials = this.credentials()): AgentClient {
    const client = createAgentClient(credentials, { identify: factsOf, connectTimeoutMs: 2000 });
    this.#clients.push(client);
    return client;
  }

  node(name: string): LocalNode {
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) throw new Error(`no node ${name}`);
    return found;
  }

  /** The process of a node's agent; null where none runs. */
  pid({ root }: LocalNode): number | null {
    const pid = Number(readText(agentPaths(root).pid).split(' ')[0]);
    return pid > 1 && existsSync(`/proc/${pid}`) && readText(`/proc/${pid}/environ`).includes(root) ? pid : null;
  }

  signal(node: LocalNode, signal: NodeJS.Signals): void {
    const pid = this.pid(node);
    if (pid !== null) process.kill(pid, signal);
  }

  /** kill -9; resolves when the process is gone. */
  async kill(node: LocalNode): Promise<void> {
    this.signal(node, 'SIGKILL');
    await until(() => this.pid(node) === null, `${node.name} has ended`);
  }

  /** Starts the agent as the machine's boot does. */
  start({ root, env }: LocalNode): void {
    spawn(join(root, 'etc/belt/start'), [], { cwd: root, env, detached: true, stdio: 'ignore' }).unref();
  }

  /** Ends everything and removes it. */
  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    for (const node of this.nodes) this.signal(node, 'SIGCONT');
    await this.belt('cluster', 'rm', 'default', '--yes', '--force');
    const host = Number((/"pid":\s*(\d+)/.exec(readText(join(this.folder, 'm', 'host.json'))) ?? [])[1]);
    rmSync(this.folder, { recursive: true, force: true });
    // The host ends when its folder is gone.
    await until(() => !existsSync(`/proc/${host}`), 'the host of the machines has ended', 30_000);
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #find(): Promise<void> {
    for (const { name, id, publicIpv4 } of JSON.parse(await this.must('ls', '--json')) as ListedMachine[]) {
      const { root } = machinePaths(join(this.folder, 'm'), id);
      const pid = readText(agentPaths(root).pid).split(' ')[0];
      const env = Object.fromEntries(readText(`/proc/${pid}/environ`).split('\0').filter((line) => line.includes('=')).map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
      (name.startsWith('mg') ? this.managers : this.workers).push({ name, endpoint: { machine: name, address: `${publicIpv4}:2378` }, root, env });
    }
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

/** Looks until `check` is true. Rejects after `deadlineMs`. */
export async function until<T>(check: () => T | Promise<T>, what: string, deadlineMs = 10_000): Promise<Exclude<T, false | null | undefined>> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const found = await check();
    if (found !== undefined && found !== null && found !== false) return found as Exclude<T, false | null | undefined>;
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
