import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { askHost } from '../../../drivers/local/host-client.ts';
import { findProcesses, readProcess, signalProcess } from '../../../drivers/local/processes.ts';
import type { Driver, Machine } from '../../../src/provision/driver.ts';
import { connectSsh, type SshConnection } from '../../../src/ssh/client.ts';
import { generateSshKeyPair } from '../../../src/ssh/key-pair.ts';
import { makeLocalHome, type LocalHome } from './harness.ts';

const CLUSTER = { cluster: 'test', clusterId: 'c0ffee' };
const pair = generateSshKeyPair('test');
const homes: LocalHome[] = [];
const signal = (): AbortSignal => AbortSignal.timeout(20_000);

function newHome(): LocalHome {
  const home = makeLocalHome();
  homes.push(home);
  return home;
}

afterEach(async () => {
  for (const home of homes.splice(0)) await home.close();
});

async function make(driver: Driver, names: readonly string[], orderId = names.join()): Promise<Machine[]> {
  const machines: Machine[] = [];
  const order = { ...CLUSTER, id: orderId, machines: names.map((name) => ({ name, region: 'sgp1', zone: null })), type: '512mb', memoryMb: null, image: null, sshPublicKeys: [pair.publicKey], userData: null, tags: {}, spot: false };
  for await (const created of driver.create(order, signal())) {
    if ('failed' in created) throw created.error;
    machines.push(created);
  }
  return machines;
}

const login = (machine: Machine): Promise<SshConnection> =>
  connectSsh({ host: machine.publicIpv4 as string, port: machine.sshPort, user: machine.sshUser, privateKey: pair.privateKey, hostKey: 'first-sight', timeoutMs: 5_000 });

const rootOf = ({ home }: LocalHome, { id }: Machine): string => join(home, 'machines', id, 'root');

async function hostPid({ home }: LocalHome): Promise<number> {
  for await (const hello of askHost({ home, sshPort: 2222 }, { op: 'hello' }, signal())) return (hello as { pid: number }).pid;
  throw new Error('no hello');
}

/** Waits for what no event tells of; the deadline fails the test. */
async function until(what: string, holds: () => boolean): Promise<void> {
  const ends = performance.now() + 10_000;
  while (!holds()) {
    if (performance.now() > ends) throw new Error(`never: ${what}`);
    await sleep(10);
  }
}

/** A boot script whose daemon writes its pid, and says so when it is asked to end. */
function installBootScript(root: string): void {
  mkdirSync(join(root, 'etc', 'belt'), { recursive: true });
  const daemon = `trap 'echo asked >> ended; exit' TERM; echo $$ > pid; while :; do sleep 0.05; done`;
  writeFileSync(join(root, 'etc', 'belt', 'start'), `#!/bin/sh\necho boot >> boots\nsetsid sh -c '${daemon.replaceAll("'", `'\\''`)}' </dev/null >/dev/null 2>&1 &\n`, { mode: 0o755 });
}

const boots = (root: string): number => (existsSync(join(root, 'boots')) ? readFileSync(join(root, 'boots'), 'utf8').trim().split('\n').length : 0);
const daemonOf = (root: string): number => (existsSync(join(root, 'pid')) ? Number(readFileSync(join(root, 'pid'), 'utf8')) : 0);
const isAlive = (pid: number): boolean => pid > 0 && !['Z', 'X', undefined].includes(readProcess(pid)?.state);

async function bootedMachine(): Promise<{ home: LocalHome; driver: Driver; machine: Machine; root: string }> {
  const home = newHome();
  const driver = home.driver();
  const [machine] = (await make(driver, ['node1'])) as [Machine];
  const root = rootOf(home, machine);
  installBootScript(root);
  await driver.power([machine.id], 'kill', signal());
  await driver.power([machine.id], 'start', signal());
  await until('the daemon is up', () => isAlive(daemonOf(root)));
  return { home, driver, machine, root };
}

describe('local machines', () => {
  test('nothing was ever made: a list starts no host', async () => {
    const home = newHome();
    expect(await home.driver().list(CLUSTER, signal())).toEqual([]);
    expect(existsSync(join(home.home, 'host.sock'))).toBe(false);
  });

  test('logging in lands in the machine, under its own name', async () => {
    const home = newHome();
    const [machine] = (await make(home.driver(), ['node1'])) as [Machine];
    await using connection = await login(machine);
    expect((await connection.exec('echo $HOME $BELT_ROOT $BELT_MACHINE')).stdout).toBe(`${rootOf(home, machine)} ${rootOf(home, machine)} ${machine.id}\n`);
  });

  test('stop asks, kill does not; both end what has left its session; start boots', async () => {
    const { driver, machine, root } = await bootedMachine();
    const first = daemonOf(root);
    await driver.power([machine.id], 'stop', signal());
    expect(isAlive(first)).toBe(false);
    expect(readFileSync(join(root, 'ended'), 'utf8')).toBe('asked\n');
    await expect(login(machine)).rejects.toMatchObject({ code: 'unreachable' });
    await driver.power([machine.id], 'start', signal());
    await until('booted again', () => daemonOf(root) !== first && isAlive(daemonOf(root)));
    const second = daemonOf(root);
    await driver.power([machine.id], 'kill', signal());
    expect(isAlive(second)).toBe(false);
    expect(readFileSync(join(root, 'ended'), 'utf8')).toBe('asked\n');
  });

  test('pause freezes processes and SSH, unpause wakes both', async () => {
    const { driver, machine, root } = await bootedMachine();
    const daemon = daemonOf(root);
    await driver.power([machine.id], 'pause', signal());
    expect(readProcess(daemon)?.state).toBe('T');
    await expect(connectSsh({ host: machine.publicIpv4 as string, port: machine.sshPort, user: machine.sshUser, privateKey: pair.privateKey, hostKey: 'first-sight', timeoutMs: 200 })).rejects.toMatchObject({ code: 'unreachable' });
    await driver.power([machine.id], 'unpause', signal());
    expect(readProcess(daemon)?.state).not.toBe('T');
    await (await login(machine)).close();
  });

  test('the host process is killed: the next command starts it, and what ran runs on', async () => {
    const { home, driver, machine, root } = await bootedMachine();
    const daemon = daemonOf(root);
    const before = await login(machine);
    const [pid, started] = [await hostPid(home), boots(root)];
    process.kill(pid, 'SIGKILL');
    await before.closed;
    expect((await driver.list(CLUSTER, signal())).map(({ status }) => status)).toEqual(['active']);
    expect(await hostPid(home)).not.toBe(pid);
    const after = await login(machine);
    expect(after.hostKey).toEqual(before.hostKey);
    await after.close();
    expect(isAlive(daemon)).toBe(true);
    expect(boots(root)).toBe(started);
    await driver.power([machine.id], 'kill', signal());
    expect(isAlive(daemon)).toBe(false);
  });

  test('the host is killed in the middle of a create: the order ends in exactly what was asked', async () => {
    const home = newHome();
    const driver = home.driver();
    const names = Array.from({ length: 40 }, (_, index) => `node${index}`);
    const order = { ...CLUSTER, id: 'o', machines: names.map((name) => ({ name, region: 'r', zone: null })), type: '1gb', memoryMb: null, image: null, sshPublicKeys: [pair.publicKey], userData: null, tags: {}, spot: false };
    const seen: string[] = [];
    for await (const created of driver.create(order, signal())) {
      if ('failed' in created) throw created.error;
      seen.push(created.name);
      if (seen.length === 5) process.kill(JSON.parse(readFileSync(join(home.home, 'host.json'), 'utf8')).pid, 'SIGKILL');
    }
    expect(seen.sort()).toEqual([...names].sort());
    expect(home.records().map(({ name }) => name).sort()).toEqual([...names].sort());
  });

  test('the host is killed while it is asked who it is: the call starts another', async () => {
    const home = newHome();
    await make(home.driver(), ['node1']);
    const { pid } = JSON.parse(readFileSync(join(home.home, 'host.json'), 'utf8')) as { pid: number };
    const path = join(home.home, 'host.sock');
    // A host that stands still takes connections up to its backlog: the one for the call, and the one that asks who it is.
    process.kill(pid, 'SIGSTOP');
    const listed = home.driver().list(CLUSTER, signal());
    await until('both wait', () => readFileSync('/proc/net/unix', 'utf8').split('\n').filter((line) => line.endsWith(path)).length > 2);
    process.kill(pid, 'SIGKILL');
    expect((await listed).map(({ name }) => name)).toEqual(['node1']);
  });

  test('five commands at once start one host', async () => {
    const home = newHome();
    const pids = await Promise.all(Array.from({ length: 5 }, () => hostPid(home)));
    expect(new Set(pids).size).toBe(1);
  });

  test('two homes take different addresses, also when one of them is switched off', async () => {
    const [left, right] = [newHome(), newHome()];
    const [first] = (await make(left.driver(), ['a1', 'a2'])) as [Machine];
    await left.driver().power([first.id], 'stop', signal());
    const addresses = [...(await left.driver().list(CLUSTER, signal())), ...(await make(right.driver(), ['b1', 'b2']))].map(({ publicIpv4 }) => publicIpv4);
    expect(new Set(addresses).size).toBe(4);
  });

  test('a removed home takes its machines and its host with it', async () => {
    const { home, root } = await bootedMachine();
    const [daemon, pid] = [daemonOf(root), await hostPid(home)];
    rmSync(home.home, { recursive: true, force: true });
    await until('all gone', () => !isAlive(daemon) && !isAlive(pid));
  });

  test('a damaged record does not take the others with it', async () => {
    const home = newHome();
    const machines = await make(home.driver(), ['node1', 'node2']);
    process.kill(await hostPid(home), 'SIGKILL');
    writeFileSync(join(home.home, 'machines', (machines[0] as Machine).id, 'machine.json'), '{"version": 1, ');
    expect((await home.driver().list(CLUSTER, signal())).map(({ name }) => name)).toEqual(['node2']);
    writeFileSync(join(home.home, 'machines', (machines[0] as Machine).id, 'machine.json'), JSON.stringify({ id: 'x', name: 'x', clusterId: 'x', address: 'x' }));
  });
});

describe('processes', () => {
  test('are found by their mark and signalled only while they are the ones that were seen', async () => {
    const id = `l-${'0'.repeat(16)}`;
    const child = spawn('sleep', ['60'], { env: { PATH: process.env['PATH'], BELT_MACHINE: id }, stdio: 'ignore' });
    const ended = once(child, 'exit');
    await until('marked', () => findProcesses(new Set([id])).size === 1);
    const [seen] = findProcesses(new Set([id])).get(id) ?? [];
    expect(seen?.pid).toBe(child.pid);
    expect(signalProcess({ pid: child.pid as number, startTime: '1', state: 'S' }, 'SIGKILL')).toBe(false);
    expect(child.exitCode ?? child.signalCode).toBe(null);
    expect(seen !== undefined && signalProcess(seen, 'SIGKILL')).toBe(true);
    await ended;
    expect(findProcesses(new Set([id])).size).toBe(0);
    expect(findProcesses(new Set(['l-other'])).size).toBe(0);
  });
});
