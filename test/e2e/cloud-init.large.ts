/**
 * Debian's own cloud-init applies the user data that belt gives to clouds, read from a NoCloud seed: the throw-away host key is what the machine shows,
 * the cloud's user may log in, and first contact and bootstrap find their way from there.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { bootstrapMachines } from '../../src/bootstrap/bootstrap-machines.ts';
import { makeContact, takeOwnKey } from '../../src/bootstrap/first-contact.ts';
import { authoritySigner } from '../../src/bootstrap/signer.ts';
import type { HostKeyRecord } from '../../src/inventory/state.ts';
import type { Machine } from '../../src/provision/driver.ts';
import type { SshConnection } from '../../src/ssh/client.ts';
import { generateSshKeyPair } from '../../src/ssh/key-pair.ts';
import { waitForSsh } from '../../src/ssh/wait.ts';
import { skipReason } from './stage.ts';
import { TestCluster } from './swarm-kit.ts';

describe.skipIf(skipReason !== null)('a machine that cloud-init sets up', () => {
  const cluster = new TestCluster();
  const other = generateSshKeyPair('another operator');
  const contact = makeContact([cluster.ssh.publicKey, other.publicKey]);
  let machine: Machine;
  let keys: readonly string[] = [contact.hostKey];

  const connect = (privateKey = cluster.ssh.privateKey): Promise<SshConnection> => waitForSsh({
    host: machine.publicIpv4!, port: machine.sshPort, user: 'debian', privateKey, machine: machine.name, hostKey: { pinned: keys }, signal: AbortSignal.timeout(120_000), budgetMs: 90_000,
  });

  beforeAll(async () => {
    await cluster.create([['c0', 'x']]);
    machine = { ...cluster.machine('c0'), sshUser: 'debian' };
    const files: Record<string, string> = {
      '/var/lib/cloud/seed/nocloud/user-data': contact.userData,
      '/var/lib/cloud/seed/nocloud/meta-data': JSON.stringify({ 'instance-id': 'belt-1', 'local-hostname': 'c0', 'public-keys': [cluster.ssh.publicKey] }),
      // The container's network and package sources are the host's affair; languages are none of its packages.
      '/etc/cloud/cloud.cfg.d/99-machine.cfg': JSON.stringify({ datasource_list: ['NoCloud', 'None'], network: { config: 'disabled' }, apt: { preserve_sources_list: true }, locale: false }),
    };
    const write = Object.entries(files).map(([file, text]) => `mkdir -p "$(dirname ${file})" && echo ${Buffer.from(text).toString('base64')} | base64 -d > ${file}`);
    // From now on nobody comes in as root, and no host key is left that cloud-init has not put there.
    const said = await cluster.on('c0', ['set -e', 'apt-get update -qq', 'DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends cloud-init >/dev/null', ...write, ': > /root/.ssh/authorized_keys', 'rm /etc/ssh/ssh_host_*', 'cloud-init clean'].join('\n'));
    expect(said.code, said.stderr).toBe(0);
    await cluster.driver.power([machine.id], 'reboot', AbortSignal.timeout(60_000));
  });
  afterAll(() => cluster.close());

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

  test('bootstrap goes in as that user', async () => {
    const bootstrap = (): ReturnType<typeof bootstrapMachines> => bootstrapMachines({
      machines: [machine], cluster: { id: cluster.tag.clusterId, name: cluster.tag.cluster, roots: [cluster.authority.certificate] }, signer: authoritySigner(cluster.authority, Date.now),
      engineOf: () => ({ kind: 'none', version: '', installUrl: '' }), signal: AbortSignal.timeout(200_000), connect: () => connect(),
    });
    expect((await bootstrap()).map((outcome) => (outcome.ok ? 'ok' : outcome.error.message))).toEqual(['ok']);
    expect((await bootstrap()).map((outcome) => outcome.ok && outcome.value.planned)).toEqual([[]]);
    expect((await cluster.client.call(cluster.agent('c0'), 'node.facts', {})).machine).toBe('c0');
    await using connection = await connect();
    expect((await connection.exec('sudo -n sh -c "/opt/belt/node --version; systemctl is-active belt-agent; sha256sum /opt/belt/node; cat /opt/belt/node.sha256"')).stdout).toMatch(/^v24\.\d+\.\d+\nactive\n([0-9a-f]{64}) .*\n\1\s*$/);
  });
});
