/**
 * Certificates of seconds on a cluster of real agents: they renew under load without a failed call; the CA is replaced under writes with a node
 * switched off, which comes back and follows; a manager without a quorum renews whom it knows, and that is written down later.
 */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { loadAuthority, readPem, signKey } from '../../src/certs/authority.ts';
import { newKey } from '../../src/certs/csr.ts';
import { signedByOne, splitPem } from '../../src/certs/identity.ts';
import { asBeltError } from '../../src/errors.ts';
import type { AgentClient, AgentEndpoint } from '../../src/swarm/agent-client.ts';
import { LocalCluster, until, type LocalNode } from '../faults/local-cluster.ts';

export interface CertsSoakOptions {
  /** Of load before the CA is rotated. */
  readonly seconds: number;
  /** Of every certificate, the operators' too. At least 10. */
  readonly lifetimeSeconds: number;
  readonly workers: number;
  /** Operators at work at once, each with a certificate of its own. */
  readonly operators: number;
  /** Leave out the rotation and what follows it: they take a minute. */
  readonly loadOnly?: boolean;
  readonly onEvent?: (line: string) => void;
}

export interface CertsSoakResult {
  readonly calls: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly longest: number;
  /** Every call that failed, in words. */
  readonly failed: readonly string[];
  /** Certificates each node has held before the rotation. */
  readonly certificates: Readonly<Record<string, number>>;
  readonly operatorCertificates: number;
  /** Null where only the load was asked for, as what follows. */
  readonly rotation: { readonly seconds: number; readonly calls: number; readonly back: string } | null;
  /** A node that was off for longer than its certificate: the line that brought it back. */
  readonly expired: string | null;
  readonly withoutQuorum: { readonly renewed: number; readonly recorded: number } | null;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
/** Calls under way on a client that is replaced have so long to end, ms. */
const GRACE_MS = 5000;

/** An operator at work: its certificate is renewed at half of its life, and when the CA has changed. */
class Operator {
  readonly #cluster: LocalCluster;
  readonly #name: string;
  readonly #lifetimeMs: number;
  #client!: AgentClient;
  #renewAt = 0;
  /** The files of the CA that the certificate is of. */
  #authority = '';
  certificates = 0;

  constructor(cluster: LocalCluster, name: string, lifetimeMs: number) {
    this.#cluster = cluster;
    this.#name = name;
    this.#lifetimeMs = lifetimeMs;
  }

  /** The client of the certificate in force. */
  get client(): AgentClient {
    const roots = readFileSync(this.#cluster.file('ca.crt'), 'utf8');
    const key = readFileSync(this.#cluster.file('ca.key'), 'utf8');
    if (Date.now() >= this.#renewAt || roots + key !== this.#authority) this.#renew(roots, key);
    return this.#client;
  }

  #renew(roots: string, key: string): void {
    // While the CLI changes its files over, root and key may be of two CAs for a moment: the next call looks again.
    const signing = splitPem(roots).find((root) => readPem(root).checkPrivateKey(createPrivateKey(key)));
    if (signing === undefined) return;
    const authority = loadAuthority(signing, key);
    const { key: own, pem } = newKey();
    const publicKey = createPublicKey(own).export({ type: 'spki', format: 'der' });
    const { certificate } = signKey(authority, publicKey, { cluster: authority.cluster, role: 'operator', name: this.#name }, { nowMs: Date.now(), lifetimeMs: this.#lifetimeMs });
    const old = this.#client as AgentClient | undefined;
    if (old !== undefined) setTimeout(() => old.close(), GRACE_MS);
    this.#client = this.#cluster.client({ clusterId: authority.cluster, key: pem, cert: certificate, roots: splitPem(roots) });
    this.#renewAt = Date.now() + this.#lifetimeMs / 2;
    this.#authority = roots + key;
    this.certificates += 1;
  }
}

/** Writes and reads of all operators, counted. */
class Load {
  readonly failed: string[] = [];
  readonly times: number[] = [];
  #stopped = false;
  readonly #began = performance.now();

  stop(): void {
    this.#stopped = true;
  }

  async run(operator: Operator, number: number, managers: readonly AgentEndpoint[], workers: () => readonly AgentEndpoint[]): Promise<void> {
    for (let i = 0; !this.#stopped; i++) {
      const turn = (i + number) % managers.length;
      const order = [...managers.slice(turn), ...managers.slice(0, turn)];
      const worker = workers()[i % Math.max(1, workers().length)];
      await this.#call('nodes.label', () => operator.client.cluster(order, 'nodes.label', { node: 'mg0', set: { [`soak${number}`]: String(i) } }));
      await this.#call('cluster.nodes', async () => {
        const { nodes } = await operator.client.cluster(order, 'cluster.nodes', {});
        const read = nodes.find(({ name }) => name === 'mg0')?.labels[`soak${number}`];
        if (read !== String(i)) throw new Error(`read ${read} after ${i} was acknowledged`);
      });
      if (worker !== undefined) await this.#call(`node.health of ${worker.machine}`, () => operator.client.call(worker, 'node.health', {}));
      await sleep(20);
    }
  }

  async #call(name: string, act: () => Promise<unknown>): Promise<void> {
    const start = performance.now();
    try {
      await act();
    } catch (error) {
      if (this.failed.length < 100) this.failed.push(`${((start - this.#began) / 1000).toFixed(1)} s ${name}: ${asBeltError(error).code} ${(error as Error).message}`);
    }
    this.times.push(performance.now() - start);
  }
}

/** The drill in its parts, on one cluster. */
export async function runCertsSoak(options: CertsSoakOptions): Promise<CertsSoakResult> {
  const { lifetimeSeconds, workers, onEvent = () => undefined } = options;
  const cluster = await LocalCluster.form({ topology: '3/3', workers, env: { BELT_TEST_CERTIFICATE_SECONDS: String(lifetimeSeconds) } });
  try {
    onEvent(`3/3 and ${workers} workers in ${cluster.folder}`);
    const drill = new Drill(cluster, options, onEvent);
    return await drill.run();
  } finally {
    await cluster.close();
  }
}

class Drill {
  readonly #cluster: LocalCluster;
  readonly #options: CertsSoakOptions;
  readonly #say: (line: string) => void;
  readonly #operator: Operator;

  constructor(cluster: LocalCluster, options: CertsSoakOptions, say: (line: string) => void) {
    this.#cluster = cluster;
    this.#options = options;
    this.#say = say;
    this.#operator = new Operator(cluster, 'observer', options.lifetimeSeconds * 1000);
  }

  async run(): Promise<CertsSoakResult> {
    const { operators, lifetimeSeconds, seconds, loadOnly = false } = this.#options;
    const { managers, workers } = this.#cluster;
    const load = new Load();
    const team = Array.from({ length: operators }, (_, number) => new Operator(this.#cluster, `op${number}`, lifetimeSeconds * 1000));
    let up: readonly LocalNode[] = workers;
    const working = Promise.all(team.map((operator, number) => load.run(operator, number, managers.map(({ endpoint }) => endpoint), () => up.map(({ endpoint }) => endpoint))));
    const certificates = await this.#watch(seconds);
    const before = load.times.length;
    this.#say(`${before} calls, ${load.failed.length} failed${loadOnly ? '' : '; the CA is replaced'}`);
    up = workers.slice(1);
    const rotation = loadOnly ? null : await this.#rotate(workers[0]!).then((rotated) => ({ ...rotated, calls: load.times.length - before }));
    load.stop();
    await working;
    const times = load.times.toSorted((a, b) => a - b);
    const at = (share: number): number => Math.round((times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0) * 10) / 10;
    const withoutQuorum = loadOnly ? null : await this.#withoutQuorum();
    const expired = loadOnly ? null : await this.#expired(workers[1]!);
    return {
      calls: times.length, p50: at(0.5), p99: at(0.99), longest: at(1), failed: load.failed, certificates,
      operatorCertificates: team.reduce((sum, one) => sum + one.certificates, 0), rotation, expired, withoutQuorum,
    };
  }

  /** The certificates each node shows in that time. */
  async #watch(seconds: number): Promise<Record<string, number>> {
    const seen = new Map(this.#cluster.nodes.map((node) => [node, new Set<string>()]));
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      for (const [node, serials] of seen) serials.add(await this.#serial(node));
      await sleep(Math.min(1000, Math.max(0, end - performance.now())));
    }
    return Object.fromEntries([...seen].map(([{ name }, serials]) => [name, serials.size]));
  }

  async #serial({ endpoint }: LocalNode): Promise<string> {
    return (await this.#operator.client.call(endpoint, 'node.facts', {})).certificate.serial;
  }

  #ask<T>(act: (client: AgentClient, managers: readonly AgentEndpoint[]) => Promise<T>): Promise<T> {
    return act(this.#operator.client, this.#cluster.managers.map(({ endpoint }) => endpoint));
  }

  /** `belt certs rotate` with `off` switched off until the others have followed. */
  async #rotate(off: LocalNode): Promise<{ seconds: number; back: string }> {
    const before = readFileSync(this.#cluster.file('ca.crt'), 'utf8');
    await this.#cluster.must('kill', off.name);
    const began = performance.now();
    const rotating = this.#cluster.must('certs', 'rotate', '--timeout', '120');
    await until(() => this.#ask((client, managers) => client.cluster(managers, 'ca.status', {})).then(({ phase, waiting }) => phase === 'reissue' && waiting.join() === off.name, () => false), `all but ${off.name} have followed`, 60_000);
    this.#say(`all but ${off.name} have followed after ${((performance.now() - began) / 1000).toFixed(1)} s; it is started`);
    await this.#cluster.must('start', off.name);
    const back = (await rotating).trim();
    const seconds = Math.round((performance.now() - began) / 100) / 10;
    const after = readFileSync(this.#cluster.file('ca.crt'), 'utf8');
    if (splitPem(after).length !== 1 || after === before) throw new Error('the operator does not trust the new CA alone');
    await this.#allReady();
    for (const node of this.#cluster.nodes) {
      const root = readFileSync(`${node.root}/var/lib/belt/pki/ca.crt`, 'utf8').trim();
      const own = readPem(readFileSync(`${node.root}/var/lib/belt/pki/agent.crt`, 'utf8'));
      if (root !== after.trim() || !signedByOne(own, [after])) throw new Error(`${node.name} has not followed to the new CA`);
    }
    this.#say(`rotated in ${seconds} s`);
    return { seconds, back };
  }

  async #allReady(): Promise<void> {
    const nodes = this.#cluster.nodes.length;
    await until(() => this.#ask((client, managers) => client.cluster(managers, 'cluster.nodes', {})).then((list) => list.nodes.filter(({ status }) => status === 'ready').length === nodes, () => false), 'all nodes are ready', 30_000);
  }

  /** Two of three managers off: the third renews every worker; the two come back and it is written down. */
  async #withoutQuorum(): Promise<{ renewed: number; recorded: number }> {
    const [, ...others] = this.#cluster.managers;
    const { workers } = this.#cluster;
    const before = await Promise.all(workers.map((node) => this.#serial(node)));
    await this.#cluster.must('kill', others.map(({ name }) => name).join(), '--force');
    for (const { endpoint } of workers) await this.#operator.client.call(endpoint, 'node.renew', {});
    const after = await Promise.all(workers.map((node) => this.#serial(node)));
    this.#say(`without a quorum ${after.filter((serial, n) => serial !== before[n]).length} of ${workers.length} workers were renewed; the managers are started`);
    await this.#cluster.must('start', others.map(({ name }) => name).join());
    const recorded = async (): Promise<number> => {
      const { certificates } = await this.#ask((client, managers) => client.cluster(managers, 'certs.list', {}));
      return after.filter((serial) => certificates.some((one) => one.serial === serial)).length;
    };
    await until(() => recorded().then((count) => count === workers.length, () => false), 'the renewals are written down', 20_000);
    await this.#allReady();
    return { renewed: after.filter((serial, n) => serial !== before[n]).length, recorded: await recorded() };
  }

  /** Off until its certificate has run out: nobody accepts it then, and the operator renews it over SSH. */
  async #expired(node: LocalNode): Promise<string> {
    await this.#cluster.must('kill', node.name);
    const { validToDate } = readPem(readFileSync(`${node.root}/var/lib/belt/pki/agent.crt`, 'utf8'));
    this.#say(`${node.name} stays off until ${validToDate.toISOString()}`);
    await sleep(validToDate.getTime() + 1000 - Date.now());
    await this.#cluster.must('start', node.name);
    const line = (await this.#cluster.must('certs', 'renew', node.name)).trim();
    await this.#allReady();
    return line;
  }
}
