/**
 * Debian's own cloud-init applies the user data that belt gives to clouds, read from a NoCloud seed: the throw-away host key is what the machine shows,
 * the cloud's user may log in, and first contact and bootstrap find their way from there.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { makeContact, takeOwnKey } from '../../src/bootstrap/first-contact.ts';
import type { HostKeyRecord } from '../../src/inventory/state.ts';
import type { Machine } from '../../src/provision/driver.ts';
import type { SshConnection } from '../../src/ssh/client.ts';
import { generateSshKeyPair } from '../../src/ssh/key-pair.ts';
import { waitForSsh } from '../../src/ssh/wait.ts';
import { sh, skipReason } from './stage.ts';
import { TestCluster } from './swarm-kit.ts';

const BELT = fileURLToPath(new URL('../../bin/belt', import.meta.url));

describe.skipIf(skipReason !== null)('a machine that cloud-init sets up', () => {
  const cluster = new TestCluster();
  const folder = mkdtempSync(path.join(tmpdir(), 'belt-cloud-init-'));
  const belt = async (line: string): Promise<string> => {
    const said = await sh('bash', ['-c', `"${BELT}" ${line}`], { cwd: folder, timeoutMs: 200_000, env: { ...process.env, HOME: folder } });
    console.log(`$ belt ${line}   exit ${said.code}\n${said.stdout}${said.stderr}`.trimEnd());
    expect(said.code, said.stderr).toBe(0);
    return said.stdout;
  };
  const other = generateSshKeyPair('another operator');
  const contact = makeContact([cluster.ssh.publicKey, other.publicKey]);
  let machine: Machine;
  let keys: readonly string[] = [contact.hostKey];

  const connect = (privateKey = cluster.ssh.privateKey): Promise<SshConnection> => waitForSsh({
    host: machine.publicIpv4!, port: machine.sshPort, user: 'debian', privateKey, machine: machine.name, hostKey: { pinned: keys }, signal: AbortSignal.timeout(120_000), budgetMs: 90_000,
  });

  beforeAll(async () => {
    await belt('cluster new --driver generic c');
    // A cloud gives its user the cluster's key.
    const key = readFileSync(path.join(folder, '.belt/c/ssh_key.pub'), 'utf8').trim();
    await cluster.create([['c0', 'x']]);
    machine = { ...cluster.machine('c0'), sshUser: 'debian' };
    const files: Record<string, string> = {
      '/var/lib/cloud/seed/nocloud/user-data': contact.userData,
      '/var/lib/cloud/seed/nocloud/meta-data': JSON.stringify({ 'instance-id': 'belt-1', 'local-hostname': 'c0', 'public-keys': [cluster.ssh.publicKey, key] }),
      // The container's network and package sources are the host's affair; languages are none of its packages.
      '/etc/cloud/cloud.cfg.d/99-machine.cfg': JSON.stringify({ datasource_list: ['NoCloud', 'None'], network: { config: 'disabled' }, apt: { preserve_sources_list: true }, locale: false }),
    };
    const write = Object.entries(files).map(([file, text]) => `mkdir -p "$(dirname ${file})" && echo ${Buffer.from(text).toString('base64')} | base64 -d > ${file}`);
    // From now on nobody comes in as root, and no host key is left that cloud-init has not put there.
    const said = await cluster.on('c0', ['set -e', 'apt-get update -qq', 'DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends cloud-init >/dev/null', ...write, ': > /root/.ssh/authorized_keys', 'rm /etc/ssh/ssh_host_*', 'cloud-init clean'].join('\n'));
    expect(said.code, said.stderr).toBe(0);
    await cluster.driver.power([machine.id], 'reboot', AbortSignal.timeout(60_000));
  });
  afterAll(async () => {
    await cluster.close();
    rmSync(folder, { recursive: true });
  });

  test('shows the key of the user data, lets the cloud’s user in and makes it root by sudo', async () => {
    await using connection = await connect();
    expect((await connection.exec('cloud-init status --wait >/dev/null; cloud-init status; sudo -n id -un')).stdout).toBe('status: done\nroot\n');
    await expect(waitForSsh({ host: machine.publicIpv4!, port: machine.sshPort, user: 'root', privateKey: cluster.ssh.privateKey, hostKey: { pinned: keys }, signal: AbortSignal.timeout(10_000), budgetMs: 0 }).then((open) => open.exec('true')).then(({ code }) => code === 0)).resolves.toBe(false);
  });

  test('lets in every key of the configuration, not the cloud’s one alone', async () => {
    await using connection = await connect(other.privateKey);
    expect((await connection.exec('id -un')).stdout).toBe('debian\n');
  });

  test('first contact replaces the key; a reboot keeps the machine’s own', async () => {
    const pinned: HostKeyRecord[] = [];
    await using connection = await connect();
    await takeOwnKey({ machine, connection, injected: keys, pin: (record) => Promise.resolve(void pinned.push(record)), now: Date.now });
    keys = pinned.at(-1)!.keys;
    expect(keys).not.toContain(contact.hostKey);
    await cluster.driver.power([machine.id], 'reboot', AbortSignal.timeout(60_000));
    await using again = await connect();
    expect(again.hostKey.openssh).toBe(keys[0]);
  });

  test('belt bootstrap goes in as that user, and a second run finds runtime, agent and key as wanted', async () => {
    writeFileSync(path.join(folder, '.belt.yml'), `driver: generic\nengine: none\ngeneric:\n  hosts:\n    - {name: c0, address: ${machine.publicIpv4}, user: debian}\n`);
    await belt('create any c0');
    expect(await belt('bootstrap c0')).toMatch(/^c0: done: install Node\.js, .*start the agent\n$/);
    expect(await belt('bootstrap c0')).toBe('c0: nothing to do\n');
    await belt('swarm init c0');
    expect((JSON.parse(await belt('swarm nodes --json')) as { name: string; status: string }[]).map(({ name, status }) => [name, status])).toEqual([['c0', 'ready']]);
    await using connection = await connect();
    expect((await connection.exec('sudo -n sh -c "/opt/belt/node --version; systemctl is-active belt-agent; sha256sum /opt/belt/node; cat /opt/belt/node.sha256"')).stdout).toMatch(/^v24\.\d+\.\d+\nactive\n([0-9a-f]{64}) .*\n\1\s*$/);
  });
});
