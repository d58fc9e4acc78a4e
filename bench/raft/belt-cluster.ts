/** A cluster of belt's members, each a process of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { FRAME_LIMITS, FrameDecoder, encodeFrame } from '../../src/swarm-agent/transport/frames.ts';
import { ALPN } from '../../src/swarm-agent/transport/listener.ts';
import type { Contender, WriteClient } from './contender.ts';
import type { MemberProcessOptions } from './member-process.ts';
import { FRAME, decodeDone, encodePut, type MemberReport, type WriteOutcome } from './wire.ts';

/** A client's connection to one member. */
export class BeltClient implements WriteClient {
  readonly #socket: Duplex;
  readonly #name: string;
  #next = 0;
  readonly #waiting = new Map<number, (outcome: WriteOutcome) => void>();
  #statusWaiting: ((report: MemberReport) => void)[] = [];
  #puts: Buffer[] = [];

  constructor(socket: Duplex, name: string) {
    this.#socket = socket;
    this.#name = name;
    const decoder = new FrameDecoder(64 * FRAME_LIMITS.call, ({ type, payload }) => {
      if (type === FRAME.statusReply) return this.#statusWaiting.shift()?.(JSON.parse(payload.toString()) as MemberReport);
      const { id, outcome } = decodeDone(payload);
      this.#waiting.get(id)?.(outcome);
      this.#waiting.delete(id);
    });
    socket.on('data', (chunk: Buffer) => decoder.push(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      for (const resolve of this.#waiting.values()) resolve('unknown');
      this.#waiting.clear();
    });
  }

  /** Writes and tells how it ended; the loss of the connection is `unknown`. */
  write(key: string, value: string, request?: string): Promise<WriteOutcome> {
    const id = this.#next++;
    if (this.#socket.destroyed) return Promise.resolve('unknown');
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#puts.push(encodePut({ id, request: request ?? `${this.#name}-${id}`, key, value }));
      if (this.#puts.length === 1) setImmediate(() => this.#flush());
    });
  }

  async put(key: string, value: string): Promise<void> {
    const outcome = await this.write(key, value);
    if (outcome !== 'acknowledged') throw new Error(outcome);
  }

  report(withState = false): Promise<MemberReport> {
    return new Promise((resolve, reject) => {
      this.#statusWaiting.push(resolve);
      this.#socket.once('close', () => reject(new Error('the connection was lost')));
      this.#socket.write(encodeFrame(FRAME.status, withState ? 'state' : ''));
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #flush(): void {
    const puts = this.#puts;
    this.#puts = [];
    if (!this.#socket.destroyed) this.#socket.write(puts.length === 1 ? puts[0]! : Buffer.concat(puts));
  }
}

export interface BeltClusterOptions {
  readonly members: number;
  readonly folder: string;
  /** Folder of certificates `m1`… and `client`; null: without TLS. */
  readonly pki: string | null;
  /** The members listen on 127.0.0.1 from this port on. */
  readonly firstPort: number;
  readonly config?: MemberProcessOptions['config'];
  readonly segmentBytes?: number;
}

export class BeltCluster implements Contender {
  readonly name = 'belt';
  readonly options: BeltClusterOptions;
  readonly #processes = new Map<string, ChildProcess>();
  #clients = 0;

  private constructor(options: BeltClusterOptions) {
    this.options = options;
  }

  static async start(options: BeltClusterOptions): Promise<BeltCluster> {
    const cluster = new BeltCluster(options);
    await Promise.all(cluster.ids.map((id) => cluster.startMember(id)));
    return cluster;
  }

  get ids(): string[] {
    return Array.from({ length: this.options.members }, (_, i) => `m${i + 1}`);
  }

  pids(): number[] {
    return [...this.#processes.values()].map(({ pid }) => pid!);
  }

  process(id: string): ChildProcess | undefined {
    return this.#processes.get(id);
  }

  async startMember(id: string): Promise<void> {
    const { folder, pki, config, segmentBytes } = this.options;
    const members = this.ids.map((member) => ({ id: member, address: this.#address(member) }));
    const argument = { id, members, folder: join(folder, id), pki, ...(config && { config }), ...(segmentBytes && { segmentBytes }) } satisfies MemberProcessOptions;
    const child = spawn(process.execPath, ['--max-semi-space-size=32', join(import.meta.dirname, 'member-process.ts'), JSON.stringify(argument)], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#processes.set(id, child);
    child.once('exit', () => {
      if (this.#processes.get(id) === child) this.#processes.delete(id);
    });
    await new Promise<void>((resolve, reject) => {
      child.stdout!.once('data', () => resolve());
      child.once('exit', (code, signal) => reject(new Error(`${id} ended (${code ?? signal})`)));
    });
  }

  /** Ends a member with SIGKILL and waits until it is gone. */
  async kill(id: string): Promise<void> {
    const child = this.#processes.get(id);
    if (child === undefined) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  /** A connection to one member. */
  async client(id: string): Promise<BeltClient> {
    const { pki } = this.options;
    const [host, port] = this.#address(id).split(':') as [string, string];
    const read = (name: string): string => readFileSync(join(pki!, name), 'utf8');
    const socket = await new Promise<Duplex>((resolve, reject) => {
      const open = pki === null
        ? connectPlain({ host, port: Number(port), noDelay: true }, () => resolve(open))
        : connectTls({ host, port: Number(port), key: read('client.key'), cert: read('client.crt'), ca: read('ca.crt'), ALPNProtocols: [ALPN.call], checkServerIdentity: () => undefined }, () => resolve(open));
      open.setNoDelay(true);
      open.once('error', reject);
    });
    if (pki === null) socket.write('c');
    return new BeltClient(socket, `${process.pid}-${++this.#clients}`);
  }

  clients(): Promise<BeltClient[]> {
    return Promise.all([...this.#processes.keys()].map((id) => this.client(id)));
  }

  /** The id of the leader that most members, or the newest term, know; null: none answers. */
  async leader(): Promise<string | null> {
    const reports = await Promise.all([...this.#processes.keys()].map(async (id) => {
      try {
        const client = await this.client(id);
        const report = await Promise.race([client.report(), new Promise<null>((resolve) => setTimeout(resolve, 200, null).unref())]);
        client.close();
        return report;
      } catch {
        return null;
      }
    }));
    const leaders = reports.filter((report) => report?.role === 'leader').sort((a, b) => b!.term - a!.term);
    return leaders[0]?.id ?? null;
  }

  async connect(waitMs: number): Promise<BeltClient> {
    const deadline = performance.now() + waitMs;
    while (performance.now() < deadline) {
      const leader = await this.leader();
      if (leader !== null) return this.client(leader);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    throw new Error('no leader');
  }

  async killLeader(): Promise<() => Promise<void>> {
    const leader = await this.leader();
    if (leader === null) throw new Error('no leader');
    await this.kill(leader);
    return () => this.startMember(leader);
  }

  diskBytes(): number {
    const folder = join(this.options.folder, 'm1');
    return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#processes.keys()].map((id) => this.kill(id)));
  }

  #address(id: string): string {
    return `127.0.0.1:${this.options.firstPort + Number(id.slice(1)) - 1}`;
  }
}
