/** Machines without SSH: a folder each, with a plain `sh` where the connection would be; agents are real processes. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

import type { Bootstrapped, Signer } from '../../src/bootstrap/bootstrap-machine.ts';
import { bootstrapMachines, type BootstrapOrder } from '../../src/bootstrap/bootstrap-machines.ts';
import type { RuntimeArchive } from '../../src/bootstrap/runtime.ts';
import { authoritySigner } from '../../src/bootstrap/signer.ts';
import { createAuthority, type Authority } from '../../src/certs/authority.ts';
import type { Outcome } from '../../src/errors.ts';
import type { Machine } from '../../src/provision/driver.ts';

export const CLUSTER_ID = 'c'.repeat(32);

/** Addresses that no other test takes: its process number decides. */
const NET = `127.${128 + (process.pid % 100)}.${1 + (Math.floor(process.pid / 100) % 250)}`;
let nextHost = 1;

/** What bootstrap needs of a machine before it has brought anything. */
const PLAIN = ['sh', 'head', 'uname', 'id', 'sha256sum', 'cut', 'wc', 'dirname', 'mkdir', 'chmod', 'mv', 'rm', 'ln', 'readlink', 'base64', 'tr', 'mkfifo', 'timeout', 'setsid', 'gunzip', 'gzip', 'cat', 'sleep', 'tail', 'command', 'env'];

export class Workbench {
  readonly folder = mkdtempSync(join(tmpdir(), 'belt-bench-'));
  readonly authority: Authority = createAuthority(CLUSTER_ID, Date.now());
  /** Bytes that went to each machine. */
  readonly sent = new Map<string, number>();
  nowMs: () => number = Date.now;
  /** The one program that machines can fetch with, `none` for none; null: what there is. */
  onlyTool: string | null = null;
  #env = process.env['XDG_CACHE_HOME'];

  constructor() {
    process.env['XDG_CACHE_HOME'] = join(this.folder, 'cache');
  }

  machine(name: string, datacenter = 'local:a'): Machine {
    mkdirSync(this.root(name), { recursive: true });
    const address = `${NET}.${nextHost++}`;
    return {
      name, driver: 'local', id: name, status: 'active', publicIpv4: address, privateIpv4: address, sshPort: 22, sshUser: 'root', memoryMb: 512, region: 'a', datacenter,
      image: null, size: '512mb', createdAt: null, tags: {},
    };
  }

  root(name: string): string {
    return join(this.folder, name);
  }

  at(name: string, path: string): string {
    return join(this.root(name), path);
  }

  read(name: string, path: string): string {
    return readFileSync(this.at(name, path), 'utf8');
  }

  has(name: string, path: string): boolean {
    return existsSync(this.at(name, path));
  }

  get signer(): Signer {
    return authoritySigner(this.authority, () => this.nowMs());
  }

  async bootstrap(machines: readonly Machine[], more: Partial<BootstrapOrder> = {}): Promise<Outcome<Bootstrapped>[]> {
    return bootstrapMachines({
      machines, cluster: { id: CLUSTER_ID, name: 'bench', roots: [this.authority.certificate] }, signer: this.signer,
      engineOf: () => ({ kind: 'none', version: '', installUrl: '' }), signal: AbortSignal.timeout(60_000), now: () => this.nowMs(),
      connect: async (machine) => ({ stream: async (command) => this.#shell(machine.name, command), close: async () => undefined }), ...more,
    });
  }

  #shell(name: string, command: string) {
    const child = spawn('sh', ['-c', command], { env: { PATH: this.#path(), HOME: this.root(name), BELT_ROOT: this.root(name) }, stdio: 'pipe' });
    const write = child.stdin.write.bind(child.stdin);
    child.stdin.write = ((chunk: Uint8Array, ...rest: []) => {
      this.sent.set(name, (this.sent.get(name) ?? 0) + chunk.length);
      return write(chunk, ...rest);
    }) as typeof child.stdin.write;
    return { stdin: child.stdin, stdout: child.stdout, stderr: child.stderr, close: () => void child.kill() };
  }

  /** A folder of links to what a plain machine has, with only one of the programs that fetch. */
  #path(): string {
    if (this.onlyTool === null) return process.env['PATH'] ?? '/usr/bin:/bin';
    const folder = join(this.folder, `bin-${this.onlyTool}`);
    if (existsSync(folder)) return folder;
    mkdirSync(folder);
    for (const name of [...PLAIN, this.onlyTool]) {
      const program = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'].map((place) => join(place, name)).find(existsSync);
      if (program !== undefined) symlinkSync(program, join(folder, name));
    }
    return folder;
  }

  /** The number of the agent's process, null where none runs. */
  pid(name: string): number | null {
    if (!this.has(name, 'var/lib/belt/agent.pid')) return null;
    const pid = Number(this.read(name, 'var/lib/belt/agent.pid').split(' ')[0]);
    return lives(pid) ? pid : null;
  }

  async killAgent(name: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const pid = this.pid(name);
    if (pid === null) return;
    process.kill(pid, signal);
    while (lives(pid)) await sleep(5);
  }

  /** A runtime that is a line of shell around this one: small, and yet it runs. */
  archive(padding = 300_000): RuntimeArchive {
    const program = Buffer.concat([Buffer.from(`#!/bin/sh\nexec ${process.execPath} "$@"\n# `), createHash('shake256', { outputLength: padding }).update('x').digest('hex').slice(0, padding)].map((part) => Buffer.from(part)));
    const bytes = gzipSync(program);
    const path = join(this.folder, 'node.gz');
    writeFileSync(path, bytes);
    const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex');
    return { path, bytes: bytes.length, archiveSha256: sha256(bytes), sha256: sha256(program) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of [...this.sent.keys()]) await this.killAgent(name);
    rmSync(this.folder, { recursive: true, force: true });
    if (this.#env === undefined) delete process.env['XDG_CACHE_HOME'];
    else process.env['XDG_CACHE_HOME'] = this.#env;
  }
}

/** A process that has ended and whose parent has not looked yet is no process any more. */
function lives(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** What was planned, or the error's code and message. */
export function summary(outcome: Outcome<Bootstrapped> | undefined): string {
  if (outcome === undefined) return 'nothing';
  return outcome.ok ? outcome.value.planned.map(({ step }) => step).join(' ') : `${outcome.error.code}: ${outcome.error.message}`;
}
