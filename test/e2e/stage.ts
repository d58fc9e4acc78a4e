/**
 * What the end-to-end suites stand on: a Docker Engine of this host, and whether it is there. Where it is not, a suite is skipped and says
 * why; in the gate (CI=true) that is a failure, because a suite that was meant to run and did not must not look green.
 */
import { execFile, type ExecFileException } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

import { createDriver } from '../../drivers/docker/driver.ts';
import type { DockerOptions } from '../../drivers/docker/options.ts';
import type { ClusterTag, CreateOrder, Driver, Machine } from '../../src/provision/driver.ts';

const run = promisify(execFile);

/** The engine of `.ci/engine`, else what DOCKER_HOST says, else the usual socket. */
const OWN_SOCKET = '/run/belt-engine/docker.sock';
if (process.env['DOCKER_HOST'] === undefined && existsSync(OWN_SOCKET)) process.env['DOCKER_HOST'] = `unix://${OWN_SOCKET}`;

export const OPTIONS: DockerOptions = { subnet: '198.18.0.0/15', image_from: 'auto' };

async function whyNot(): Promise<string | null> {
  if (process.getuid?.() !== 0) return 'needs root';
  const problems = await createDriver(OPTIONS).validate(AbortSignal.timeout(15_000));
  return problems[0] === undefined ? null : `${problems[0].message} (.ci/engine start)`;
}

/** Null where the suites can run; else the reason. Throws in the gate, where they must. */
export const skipReason: string | null = await whyNot();
if (skipReason !== null) {
  if (process.env['CI'] === 'true') throw new Error(`the end-to-end suites cannot run here: ${skipReason}`);
  console.log(`end-to-end suites are skipped: ${skipReason}`);
}

/** Whether services may use virtual IPs and the ingress mesh here; without it the reason why not. */
export const noMesh: string | null = existsSync('/proc/net/ip_vs') ? null : 'the kernel has no IPVS: no virtual IPs and no ingress mesh; ports are published with mode=host';

export interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, whatever its exit code. */
export async function sh(command: string, args: readonly string[], options: { input?: string; timeoutMs?: number; env?: NodeJS.ProcessEnv; cwd?: string } = {}): Promise<Said> {
  const running = run(command, [...args], { timeout: options.timeoutMs ?? 60_000, env: options.env ?? process.env, cwd: options.cwd, maxBuffer: 1 << 26 });
  if (options.input !== undefined) running.child.stdin?.end(options.input);
  try {
    return { code: 0, ...(await running) };
  } catch (error) {
    const failure = error as ExecFileException & { stdout?: string; stderr?: string };
    return { code: typeof failure.code === 'number' ? failure.code : -1, stdout: failure.stdout ?? '', stderr: failure.stderr ?? failure.message };
  }
}

/** Calls `look` until it gives something (not empty, not false), a few times a second; rejects with `what` after `ms`. */
export async function until<T>(what: string, ms: number, look: () => Promise<T | null | undefined | false>): Promise<T> {
  const end = Date.now() + ms;
  let last: unknown = null;
  for (;;) {
    try {
      const found = await look();
      if (found) return found;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`${what}: not within ${ms / 1000} s${last instanceof Error ? ` (${last.message})` : ''}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

export function clusterTag(cluster: string): ClusterTag {
  return { cluster, clusterId: randomBytes(16).toString('hex') };
}

export function order(tag: ClusterTag, machines: readonly [name: string, region: string][], publicKey: string, type = '1gb'): CreateOrder {
  return {
    ...tag, id: randomBytes(8).toString('hex'), machines: machines.map(([name, region]) => ({ name, region, zone: null })), type, memoryMb: null, image: null,
    sshPublicKeys: [publicKey], userData: null, tags: {}, spot: false,
  };
}

/** Everything an order makes; throws the first failure. */
export async function make(driver: Driver, wanted: CreateOrder): Promise<Machine[]> {
  const machines: Machine[] = [];
  for await (const created of driver.create(wanted, AbortSignal.timeout(240_000))) {
    if ('failed' in created) throw created.error;
    machines.push(created);
  }
  return machines.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Removes every machine of the cluster. */
export async function clear(driver: Driver, tag: ClusterTag): Promise<void> {
  const signal = AbortSignal.timeout(120_000);
  const machines = await driver.list(tag, signal);
  await driver.destroy(machines.map((machine) => machine.id), signal);
}

/** A key pair in `folder`, OpenSSH's own client around it. */
export async function sshKey(folder: string): Promise<{ publicKey: string; ssh: (address: string, command: string, timeoutMs?: number) => Promise<Said> }> {
  const made = await sh('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', `${folder}/key`]);
  if (made.code !== 0) throw new Error(made.stderr);
  const options = ['-i', `${folder}/key`, '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR', '-o', 'ConnectTimeout=15', '-o', 'BatchMode=yes'];
  return {
    publicKey: readFileSync(`${folder}/key.pub`, 'utf8').trim(),
    ssh: (address, command, timeoutMs = 60_000) => sh('ssh', [...options, `root@${address}`, command], { timeoutMs }),
  };
}
