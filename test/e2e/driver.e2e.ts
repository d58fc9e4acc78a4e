/** The docker driver on a real engine: machines boot, reach each other, keep their addresses, are cut off and brought back, and leave nothing. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { connect, createDriver } from '../../drivers/docker/driver.ts';
import { clusterFilter } from '../../drivers/docker/machine.ts';
import { partition } from '../../drivers/docker/partition.ts';
import type { Machine } from '../../src/provision/driver.ts';
import { asOneSession } from './one-session.ts';
import { clear, clusterTag, make, OPTIONS, order, sh, skipReason, sshKey, until } from './stage.ts';

describe.skipIf(skipReason !== null)('machines of the docker driver', () => {
  const tag = clusterTag('e2e-driver');
  const driver = createDriver(OPTIONS);
  const folder = mkdtempSync(path.join(tmpdir(), 'belt-e2e-'));
  let machines: Machine[] = [];
  let ssh: Awaited<ReturnType<typeof sshKey>>['ssh'];
  const [a, b, c] = [0, 1, 2].map((index) => (): Machine => machines[index]!) as [() => Machine, () => Machine, () => Machine];

  /** Whether the first machine reaches the second's sshd. */
  const reaches = async (from: Machine, to: Machine): Promise<boolean> =>
    (await ssh(from.publicIpv4!, `timeout 2 bash -c 'exec 3<>/dev/tcp/${to.publicIpv4!}/22'`)).code === 0;

  asOneSession();
  beforeAll(async () => {
    const key = await sshKey(folder);
    ssh = key.ssh;
    machines = await make(driver, order(tag, [['a', 'x'], ['b', 'x'], ['c', 'y']], key.publicKey, '512mb'));
    await Promise.all(machines.map((machine) => until(`ssh on ${machine.name}`, 90_000, async () => (await ssh(machine.publicIpv4!, 'true')).code === 0)));
  });
  afterAll(async () => {
    await clear(driver, tag);
    rmSync(folder, { recursive: true });
  });

  test('systemd runs, nothing failed, and the machine is as plain as a cloud’s', async () => {
    const said = await until('systemd is up', 90_000, async () => {
      const state = await ssh(a().publicIpv4!, 'systemctl is-system-running; hostname; cat /proc/1/comm; command -v node docker dockerd || echo plain');
      return state.stdout.startsWith('running') ? state.stdout : null;
    });
    expect(said.split('\n')).toEqual(['running', 'a', 'systemd', 'plain', '']);
  });

  test('each machine has host keys of its own', async () => {
    const keys = await Promise.all(machines.map((machine) => sh('ssh-keyscan', ['-T', '30', '-t', 'ed25519', machine.publicIpv4!])));
    expect(new Set(keys.map((said) => said.stdout.split(' ')[2])).size).toBe(3);
  });

  test('packages can be installed: the machine reaches what the host reaches', async () => {
    const said = await ssh(c().publicIpv4!, 'apt-get update -qq && apt-get install -y -qq --no-install-recommends tini >/dev/null && tini --version', 120_000);
    expect(said.stdout).toContain('tini version');
  });

  test('a datacenter is cut off as one and brought back as one; the operator reaches it all along', async () => {
    const docker = connect(OPTIONS);
    expect(await reaches(a(), c())).toBe(true);
    await partition(docker, tag, 'y', true);
    await partition(docker, tag, 'y', true);
    expect([await reaches(a(), c()), await reaches(c(), a()), await reaches(a(), b())]).toEqual([false, false, true]);
    await driver.power([c().id], 'kill', AbortSignal.timeout(30_000));
    await driver.power([c().id], 'start', AbortSignal.timeout(30_000));
    await until('ssh on c', 90_000, async () => (await ssh(c().publicIpv4!, 'true')).code === 0);
    expect(await reaches(a(), c())).toBe(false);
    await partition(docker, tag, 'y', false);
    expect([await reaches(a(), c()), await reaches(c(), a())]).toEqual([true, true]);
  });

  test('a stop is clean, and the machine comes back with its address, its files and its host key', async () => {
    const before = await sh('ssh-keyscan', ['-T', '30', '-t', 'ed25519', b().publicIpv4!]);
    await ssh(b().publicIpv4!, 'echo kept > /root/file');
    expect(await driver.power([b().id], 'stop', AbortSignal.timeout(60_000))).toMatchObject([{ ok: true }]);
    // 128 and SIGKILL's 9: its patience ended.
    expect((await connect(OPTIONS).getContainer(b().id).inspect()).State.ExitCode).not.toBe(137);
    expect((await driver.list(tag, AbortSignal.timeout(10_000))).find((machine) => machine.name === 'b')).toMatchObject({ status: 'off', publicIpv4: b().publicIpv4 });
    await driver.power([b().id], 'start', AbortSignal.timeout(30_000));
    expect((await until('ssh on b', 90_000, async () => (await ssh(b().publicIpv4!, 'cat /root/file')).stdout)).trim()).toBe('kept');
    expect((await sh('ssh-keyscan', ['-T', '30', '-t', 'ed25519', b().publicIpv4!])).stdout).toBe(before.stdout);
  });

  test('paused it answers nobody, then goes on', async () => {
    await driver.power([b().id], 'pause', AbortSignal.timeout(30_000));
    expect((await ssh(b().publicIpv4!, 'true', 4_000)).code).not.toBe(0);
    await driver.power([b().id], 'unpause', AbortSignal.timeout(30_000));
    expect((await ssh(b().publicIpv4!, 'true')).code).toBe(0);
  });

  test('nothing is left: no container, volume, network or rule', async () => {
    const docker = connect(OPTIONS);
    const volumes = async (): Promise<number> => (await docker.listVolumes()).Volumes.length;
    const before = await volumes();
    await partition(docker, tag, 'y', true);
    const rules = async (): Promise<string> => (await sh('ebtables-nft', ['-L', 'FORWARD'])).stdout;
    const slice = c().publicIpv4!.replace(/\d+$/, '0/24');
    expect(await rules()).toContain(slice);
    await clear(driver, tag);
    expect(await rules()).not.toContain(slice);
    expect(await docker.listContainers({ all: true, filters: clusterFilter(tag) })).toEqual([]);
    expect(await docker.listNetworks({ filters: clusterFilter(tag) })).toEqual([]);
    expect(before - (await volumes())).toBe(6);
    expect(await driver.destroy(machines.map((machine) => machine.id), AbortSignal.timeout(30_000))).toMatchObject(machines.map(() => ({ ok: true, note: 'already gone' })));
  });
});
