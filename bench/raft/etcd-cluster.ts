/** A cluster of etcd 3.4 (Debian's etcd-server), each member a process of its own, with defaults but for addresses and certificates. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Client, credentials as grpcCredentials, type ChannelCredentials } from '@grpc/grpc-js';
import type { Contender, WriteClient } from './contender.ts';

/** The etcd binary, null when it is not installed. */
export function etcdVersion(): string | null {
  const ran = spawnSync('etcd', ['--version'], { encoding: 'utf8' });
  return ran.status === 0 ? (/etcd Version: (\S+)/.exec(ran.stdout)?.[1] ?? null) : null;
}

/** A put by gRPC. The request is two fields of bytes, so it is written here rather than by a protobuf library: that costs the client the least. */
class EtcdClient implements WriteClient {
  readonly #client: Client;
  readonly #deadlineMs: number;

  constructor(address: string, credentials: ChannelCredentials, deadlineMs: number) {
    this.#client = new Client(address, credentials);
    this.#deadlineMs = deadlineMs;
  }

  put(key: string, value: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + this.#deadlineMs };
      this.#client.makeUnaryRequest('/etcdserverpb.KV/Put', encodePutRequest, (bytes) => bytes, { key, value }, options, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  /** Whether this member leads (Maintenance.Status: its own id in the header, the leader's in field 4). */
  leads(): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + this.#deadlineMs };
      this.#client.makeUnaryRequest('/etcdserverpb.Maintenance/Status', () => Buffer.alloc(0), (bytes) => bytes, null, options, (error, reply) => {
        if (error !== null) return reject(error);
        const status = fields(reply!);
        const header = fields(status.get(1) as Buffer);
        resolve(status.get(4) !== undefined && status.get(4) === header.get(2));
      });
    });
  }

  close(): void {
    this.#client.close();
  }
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
}

function encodePutRequest({ key, value }: { key: string; value: string }): Buffer {
  return Buffer.concat([Buffer.from([10, ...varint(key.length)]), Buffer.from(key, 'latin1'), Buffer.from([18, ...varint(value.length)]), Buffer.from(value, 'latin1')]);
}

/** The fields of a protobuf message: varints as bigint, the others as bytes. */
function fields(bytes: Buffer): Map<number, bigint | Buffer> {
  const found = new Map<number, bigint | Buffer>();
  let at = 0;
  const readVarint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(readVarint());
    const value = readVarint();
    if ((tag & 7) === 0) found.set(tag >>> 3, value);
    else {
      found.set(tag >>> 3, bytes.subarray(at, at + Number(value)));
      at += Number(value);
    }
  }
  return found;
}

export interface EtcdClusterOptions {
  readonly members: number;
  readonly folder: string;
  readonly pki: string | null;
  readonly firstPort: number;
}

export class EtcdCluster implements Contender {
  readonly name = 'etcd';
  readonly #options: EtcdClusterOptions;
  readonly #processes = new Map<string, ChildProcess>();

  private constructor(options: EtcdClusterOptions) {
    this.#options = options;
    mkdirSync(options.folder, { recursive: true });
  }

  static async start(options: EtcdClusterOptions): Promise<EtcdCluster> {
    const cluster = new EtcdCluster(options);
    for (const id of cluster.ids) cluster.#startMember(id, 'new');
    (await cluster.connect(20_000)).close();
    return cluster;
  }

  get ids(): string[] {
    return Array.from({ length: this.#options.members }, (_, i) => `m${i + 1}`);
  }

  /** `host:port` of each member's client port. */
  endpoints(): string[] {
    return this.ids.map((id) => `localhost:${this.#port(id)}`);
  }

  pids(): number[] {
    return [...this.#processes.values()].map(({ pid }) => pid!);
  }

  clientTo(id: string, deadlineMs = 60_000): EtcdClient {
    const { pki } = this.#options;
    const read = (name: string): Buffer => readFileSync(join(pki!, name));
    const credentials = pki === null ? grpcCredentials.createInsecure() : grpcCredentials.createSsl(read('ca.crt'), read('client.key'), read('client.crt'));
    return new EtcdClient(`localhost:${this.#port(id)}`, credentials, deadlineMs);
  }

  clients(): Promise<WriteClient[]> {
    return Promise.resolve([...this.#processes.keys()].map((id) => this.clientTo(id, 250)));
  }

  async connect(waitMs: number): Promise<WriteClient> {
    const deadline = performance.now() + waitMs;
    while (performance.now() < deadline) {
      const leader = await this.leader();
      if (leader !== null) return this.clientTo(leader);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error('no leader');
  }

  async leader(): Promise<string | null> {
    for (const id of this.#processes.keys()) {
      const client = this.clientTo(id, 500);
      const leads = await client.leads().catch(() => false);
      client.close();
      if (leads) return id;
    }
    return null;
  }

  async killLeader(): Promise<() => Promise<void>> {
    const leader = await this.leader();
    if (leader === null) throw new Error('no leader');
    const child = this.#processes.get(leader)!;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
    return () => {
      this.#startMember(leader, 'existing');
      return Promise.resolve();
    };
  }

  diskBytes(): number {
    const folder = join(this.#options.folder, 'm1', 'member');
    return readdirSync(folder, { recursive: true, withFileTypes: true }).reduce((sum, entry) => (entry.isFile() ? sum + statSync(join(entry.parentPath, entry.name)).size : sum), 0);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#processes.values()].map((child) => {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      return gone;
    }));
  }

  #port(id: string): number {
    return this.#options.firstPort + 2 * (Number(id.slice(1)) - 1);
  }

  #startMember(id: string, state: 'new' | 'existing'): void {
    const { folder, pki } = this.#options;
    const scheme = pki === null ? 'http' : 'https';
    const peerUrl = (member: string): string => `${scheme}://127.0.0.1:${this.#port(member) + 1}`;
    const clientUrl = `${scheme}://127.0.0.1:${this.#port(id)}`;
    const file = (name: string): string => join(pki!, name);
    const tls = pki === null ? [] : [
      '--cert-file', file(`${id}.crt`), '--key-file', file(`${id}.key`), '--trusted-ca-file', file('ca.crt'), '--client-cert-auth',
      '--peer-cert-file', file(`${id}.crt`), '--peer-key-file', file(`${id}.key`), '--peer-trusted-ca-file', file('ca.crt'), '--peer-client-cert-auth',
    ];
    const child = spawn('etcd', [
      '--name', id, '--data-dir', join(folder, id), '--listen-peer-urls', peerUrl(id), '--initial-advertise-peer-urls', peerUrl(id),
      '--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl, '--initial-cluster-state', state,
      '--initial-cluster', this.ids.map((member) => `${member}=${peerUrl(member)}`).join(','), '--logger', 'zap', '--log-level', 'fatal', ...tls,
    ], { stdio: 'ignore' });
    this.#processes.set(id, child);
    child.once('exit', () => {
      if (this.#processes.get(id) === child) this.#processes.delete(id);
    });
  }
}
