/** A backup taken from a manager, and a cluster that goes on from it when no manager is left. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import { exportKey } from '../../src/certs/authority.ts';
import { packBackup, unpackBackup, type Backup } from '../../src/swarm-agent/api/backup.ts';
import { writeText } from '../../src/swarm-agent/identity/files.ts';
import { Harness, leaderOf, until, type TestMachine } from './harness.ts';

let harness: Harness;
beforeEach(() => {
  harness = new Harness();
});
afterEach(() => harness.close());

const backUp = async (from: TestMachine): Promise<Backup> => unpackBackup((await harness.client.call(from.endpoint, 'node.backup', {})).backup);
/** As `swarm restore` does: the CA's key over SSH, then the call. */
async function restore(on: TestMachine, backup: Backup, epoch = 1000): Promise<{ id: string; already: boolean }> {
  writeText(on.files.paths.caKey, exportKey(harness.ca));
  return harness.client.call(on.endpoint, 'node.restore', { backup: await packBackup(backup), epoch });
}

test('a backup holds nodes and certificates, and no secret', async () => {
  const { managers: [mg0] } = await harness.cluster(1, 1);
  const backup = await backUp(mg0!);
  expect(backup.nodes.map(({ name, role }) => [name, role])).toEqual([['mg0', 'manager'], ['node0', 'worker']]);
  const tokens = [await harness.token('worker', mg0!), await harness.token('manager', mg0!)].map((token) => token.split('-').at(-1)!);
  const text = JSON.stringify(backup);
  for (const secret of [mg0!.files.sealKey()!, ...tokens]) expect(text).not.toContain(secret);
  expect(text).not.toMatch(/PRIVATE KEY|"1\.[0-9a-f]{16}\./);
});

test('when all managers are gone one machine goes on: workers keep identity and labels, the lost are believed no more', { timeout: 60_000 }, async () => {
  const { managers, workers: [node0, node1] } = await harness.cluster(3, 2);
  await harness.client.cluster([managers[0]!.endpoint], 'nodes.label', { node: 'node0', set: { disk: 'ssd' } });
  await harness.client.cluster([managers[0]!.endpoint], 'nodes.availability', { node: 'node1', availability: 'drain' });
  const before = await harness.nodes(managers[0]!);
  const backup = await backUp(leaderOf(managers)!);
  await harness.stop(...managers);

  const mg9 = await harness.machine('mg9');
  expect(await restore(mg9, backup)).toMatchObject({ already: false });
  expect(await restore(mg9, backup)).toMatchObject({ already: true });
  for (const worker of [node0!, node1!]) await harness.client.call(worker.endpoint, 'node.rejoin', { managers: [mg9.endpoint.address] });
  await until(async () => (await harness.nodes(mg9)).every(({ status }) => status === 'ready'), 'all are ready');
  const after = await harness.nodes(mg9);
  expect(after.map(({ name, role, labels, availability }) => [name, role, labels, availability])).toEqual([
    ['mg9', 'manager', {}, 'active'], ['node0', 'worker', { disk: 'ssd' }, 'active'], ['node1', 'worker', {}, 'drain'],
  ]);
  expect(after.find(({ name }) => name === 'node0')!.id).toBe(before.find(({ name }) => name === 'node0')!.id);

  const joiner = await harness.machine('node2');
  await harness.join(joiner, 'worker', mg9);
  const { key, cert } = managers[0]!.files.credentials();
  await expect(harness.clientWith(key, cert).cluster([mg9.endpoint], 'cluster.nodes', {})).rejects.toThrow(/is revoked/);
});

test('a machine that is a node, a manager of another making, and another cluster’s backup are refused', async () => {
  const { managers: [mg0], workers: [node0] } = await harness.cluster(1, 1);
  const backup = await backUp(mg0!);
  await expect(restore(node0!, backup)).rejects.toMatchObject({ code: 'refused', message: expect.stringContaining('node0 is a worker of the cluster already') as string });
  await expect(restore(mg0!, backup)).rejects.toMatchObject({ code: 'refused', message: expect.stringContaining('mg0 manages the cluster already, and not from this backup') as string });
  const mg9 = await harness.machine('mg9');
  await expect(restore(mg9, { ...backup, clusterId: 'f'.repeat(32) })).rejects.toMatchObject({ code: 'refused', message: expect.stringContaining('the backup is of cluster test') as string });
  await expect(harness.client.call(mg9.endpoint, 'node.restore', { backup: 'bm90IHppcHBlZA==', epoch: 1 })).rejects.toMatchObject({ code: 'bad_request' });
});
