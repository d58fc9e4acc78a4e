/**
 * `bench/join`: the conversation of `belt swarm join` beside Debian's pssh running three plain commands (in one line, so one session
 * a host), on the same hosts in the same run: against the machines of the local driver, and against one OpenSSH server.
 *
 *     bin/node bench/join/main.ts [--hosts 200] [--rounds 3] [--window 50]
 *
 * SERVER CPU is what the server and its sessions spent, FLOOR that spread over the cores: no client could end sooner, were it itself free.
 * Sessions run with an empty home: what an account starts in its .bashrc would hide everything else, for both.
 *
 * OpenSSH listens on 16 addresses at most, so it listens on all of 127/8 in a network namespace of its own, into which the whole
 * benchmark moves first (unshare; root, or user namespaces).
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { availableParallelism, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { askHost } from '../../drivers/local/host-client.ts';
import { createDriver } from '../../drivers/local/driver.ts';
import { generateSshKeyPair, type SshKeyPair } from '../../src/ssh/key-pair.ts';
import { SSHD_MISSING, startSshd } from '../../test/ssh/sshd.ts';
import type { Work } from './client.ts';

interface Figures {
  readonly wallMs: number;
  readonly cpuMs: number;
  /** Null where the work is spread over many processes. */
  readonly peakMb: number | null;
  readonly failed: number;
}

/** A round with what the server's side spent on it, its sessions' processes included. */
interface Round extends Figures {
  readonly serverCpuMs: number;
}

const CLIENT = fileURLToPath(new URL('./client.ts', import.meta.url));

async function runOurs(work: Work): Promise<Figures> {
  const child = spawn(process.execPath, [CLIENT], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(JSON.stringify(work));
  const [said] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  const figures = JSON.parse(said) as Figures & { errors: string[] };
  for (const error of figures.errors) process.stderr.write(`${error}\n`);
  return figures;
}

/** pssh and all its ssh children, as bash's `time` counts them. */
async function runPssh(work: Work, folder: string): Promise<Figures> {
  const hosts = join(folder, 'hosts');
  const key = join(folder, 'key');
  writeFileSync(hosts, work.hosts.map(({ host, port, user }) => `${host}:${port} ${user}\n`).join(''));
  writeFileSync(key, work.privateKey, { mode: 0o600 });
  const options = `-O StrictHostKeyChecking=no -O UserKnownHostsFile=/dev/null -O IdentityFile=${key} -O LogLevel=ERROR`;
  const command = `TIMEFORMAT='%R %U %S'; time parallel-ssh -p ${work.window} -t 120 -h ${hosts} ${options} 'echo facts; echo request; echo installed' >${folder}/pssh.log 2>&1; grep -c SUCCESS ${folder}/pssh.log`;
  const child = spawn('bash', ['-c', command], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [succeeded, times] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  const [wall = 0, user = 0, system = 0] = times.trim().split('\n').at(-1)?.split(' ').map(Number) ?? [];
  return { wallMs: wall * 1_000, cpuMs: (user + system) * 1_000, peakMb: null, failed: work.hosts.length - Number(succeeded) };
}

/** How often the talk changes from us to the server in one conversation: what a far machine costs beside CPU. */
async function countRoundTrips(work: Work): Promise<number> {
  const target = work.hosts[0] as Work['hosts'][number];
  let turns = 0;
  let ours = false;
  const proxy = createServer({ noDelay: true }, (near) => {
    const far = connect({ host: target.host, port: target.port, noDelay: true });
    near.on('error', () => far.destroy()).on('data', () => { ours = true; });
    far.on('error', () => near.destroy()).on('data', () => {
      if (ours) turns += 1;
      ours = false;
    });
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const { port } = proxy.address() as { port: number };
  await runOurs({ ...work, hosts: [{ ...target, host: '127.0.0.1', port }], window: 1 });
  proxy.close();
  return turns;
}

/** CPU of a process and of all children it has waited for, milliseconds (proc(5); a tick is 10 ms). */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks) * 10, 0);
}

async function withServer(pid: number, run: () => Promise<Figures>): Promise<Round> {
  const before = cpuOf(pid);
  const figures = await run();
  // The last sessions end after their clients.
  await sleep(300);
  return { ...figures, serverCpuMs: cpuOf(pid) - before };
}

/** Medians of the rounds, the two taking turns so that a noisy neighbour hits both. `server` is a process that all of the server's work is done by or below. */
async function compare(title: string, server: number, work: Work, rounds: number, folder: string): Promise<void> {
  const results: Record<'belt' | 'pssh', Round[]> = { belt: [], pssh: [] };
  for (let round = 0; round < rounds; round += 1) {
    results.belt.push(await withServer(server, () => runOurs(work)));
    results.pssh.push(await withServer(server, () => runPssh(work, folder)));
  }
  const count = work.hosts.length;
  const turns = await countRoundTrips(work);
  process.stdout.write(`\n${title}: ${count} hosts, ${work.window} at once, medians of ${rounds}\n`);
  process.stdout.write('CLIENT  WALL s  WALL ms/host  CPU ms/host  SERVER CPU ms/host  FLOOR ms/host  PEAK MB  ROUND TRIPS  FAILED\n');
  for (const [name, list] of Object.entries(results)) {
    const wall = median(list.map(({ wallMs }) => wallMs));
    const cpu = median(list.map(({ cpuMs }) => cpuMs));
    const server = median(list.map(({ serverCpuMs }) => serverCpuMs));
    const peak = list[0]?.peakMb === null ? '-' : Math.max(...list.map(({ peakMb }) => peakMb ?? 0)).toFixed(0);
    const cells = [name.padEnd(6), (wall / 1_000).toFixed(2).padStart(6), (wall / count).toFixed(1).padStart(12), (cpu / count).toFixed(2).padStart(11), (server / count).toFixed(1).padStart(18), (server / count / availableParallelism()).toFixed(1).padStart(13), peak.padStart(7), (name === 'belt' ? String(turns) : '-').padStart(11), String(Math.max(...list.map(({ failed }) => failed))).padStart(6)];
    process.stdout.write(`${cells.join('  ')}\n`);
  }
  const ratio = median(results.belt.map(({ wallMs }) => wallMs)) / median(results.pssh.map(({ wallMs }) => wallMs));
  process.stdout.write(`belt takes ${ratio.toFixed(2)} of pssh's wall time\n`);
}

async function againstLocal(pair: SshKeyPair, hosts: number, rounds: number, window: number, folder: string): Promise<void> {
  const home = join(folder, 'local');
  const signal = AbortSignal.timeout(600_000);
  const driver = createDriver({ home, ssh_port: 2222 });
  const machines = Array.from({ length: hosts }, (_, index) => ({ name: `node${index}`, region: 'bench', zone: null }));
  const made: Work['hosts'][number][] = [];
  const ids: string[] = [];
  for await (const one of driver.create({ cluster: 'bench', clusterId: 'bench', id: 'bench', machines, type: '512mb', memoryMb: null, image: null, sshPublicKeys: [pair.publicKey], userData: null, tags: {}, spot: false }, signal)) {
    if ('failed' in one) throw one.error;
    made.push({ host: one.publicIpv4 as string, port: one.sshPort, user: one.sshUser });
    ids.push(one.id);
  }
  try {
    const { pid } = JSON.parse(readFileSync(join(home, 'host.json'), 'utf8')) as { pid: number };
    await compare("the local driver's server (one process)", pid, { hosts: made, privateKey: pair.privateKey, window }, rounds, folder);
  } finally {
    await driver.destroy(ids, signal);
    for await (const _ of askHost({ home, sshPort: 2222 }, { op: 'retire' }, signal));
  }
}

async function againstOpenSsh(pair: SshKeyPair, count: number, rounds: number, window: number, folder: string): Promise<void> {
  if (SSHD_MISSING !== false) return void process.stdout.write(`\nOpenSSH: skipped, ${SSHD_MISSING}\n`);
  await using sshd = await startSshd({ authorizedKeys: [pair.publicKey], addresses: ['0.0.0.0'], extra: [`SetEnv HOME=${folder}`] });
  const hosts = Array.from({ length: count }, (_, index) => ({ host: `127.50.${1 + Math.floor(index / 250)}.${1 + (index % 250)}`, port: sshd.port, user: sshd.user }));
  await compare('one OpenSSH server', sshd.pid, { hosts, privateKey: pair.privateKey, window }, rounds, folder);
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { hosts: { type: 'string', default: '200' }, rounds: { type: 'string', default: '3' }, window: { type: 'string', default: '50' }, inside: { type: 'boolean', default: false } } });
  if (!values.inside) return moveIntoNamespace();
  if (spawnSync('parallel-ssh', ['--version']).error !== undefined) throw new Error('pssh is not installed: apt-get install pssh');
  const [hosts, rounds, window] = [Number(values.hosts), Number(values.rounds), Number(values.window)];
  const folder = mkdtempSync(join(tmpdir(), 'belt-bench-'));
  const pair = generateSshKeyPair('bench');
  try {
    await againstLocal(pair, hosts, rounds, window, folder);
    await againstOpenSsh(pair, hosts, rounds, window, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function moveIntoNamespace(): void {
  const flags = userInfo().uid === 0 ? ['--net'] : ['--net', '--user', '--map-root-user'];
  const words = [process.execPath, ...process.argv.slice(1), '--inside'];
  const { status } = spawnSync('unshare', [...flags, 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', ...words], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN;
}

await main();
