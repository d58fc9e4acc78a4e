/** Managers that were off while the cluster was rebuilt come back, and are a majority of the old group. */
import { existsSync } from 'node:fs';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { Harness, leaderOf, until, type TestMachine } from './harness.ts';

let harness: Harness;
beforeEach(() => {
  harness = new Harness();
});
afterEach(() => harness.close());

const label = (via: TestMachine, key: string) => harness.client.cluster([via.endpoint], 'nodes.label', { node: 'mg0', set: { [key]: 'yes' } });
const codeOf = (promise: Promise<unknown>) => promise.then(() => 'acknowledged', (error: unknown) => (error as { code: string }).code);
/** Asked again where the connection was that to an agent which has ended since. */
const health = (machine: TestMachine) => until(() => harness.client.call(machine.endpoint, 'node.health', {}).catch(() => null), `${machine.name} answers`);

/** Five managers; the last three are off while the first goes on alone and the second comes back to it. */
async function rebuilt(workers = 0): Promise<{ survivor: TestMachine; second: TestMachine; old: TestMachine[] }> {
  const { managers: [mg0, mg1, ...old] } = await harness.cluster(5, workers);
  await harness.stop(...old);
  await harness.client.call(mg0!.endpoint, 'node.reform', { epoch: 1 });
  await harness.client.call(mg1!.endpoint, 'node.rejoin', { managers: [mg0!.endpoint.address] });
  return { survivor: mg0!, second: mg1!, old };
}

async function allBack(via: TestMachine, managers: number): Promise<void> {
  await until(async () => {
    const { raft, reachable } = await harness.client.cluster([via.endpoint], 'cluster.status', {});
    return raft.epoch === 1 && reachable === managers;
  }, `${managers} managers of the new epoch`, 20_000);
}

describe('a majority of the old group after a rebuild', { timeout: 120_000 }, () => {
  test('yields and comes back by itself; what only it had acknowledged is set aside, not mixed in', async () => {
    const { survivor, second, old } = await rebuilt(1);
    await label(survivor, 'new');
    await harness.stop(survivor, second);
    await Promise.all(old.map((machine) => harness.start(machine)));
    // Nobody of the new epoch is there to be seen, so the old group goes on, as any majority does.
    const leader = await until(() => leaderOf(old), 'a leader of the old group');
    await label(leader, 'old');

    await harness.start(survivor);
    await harness.start(second);
    await allBack(survivor, 5);
    const labels = (await harness.nodes(old[0]!)).find(({ name }) => name === 'mg0')!.labels;
    expect(labels).toEqual({ new: 'yes' });
    await until(async () => (await harness.nodes(old[0]!)).every(({ status }) => status === 'ready'), 'the worker and all managers are ready');
    for (const machine of old) expect([machine.name, existsSync(machine.files.paths.raftAside)]).toEqual([machine.name, true]);
  });

  test('stops at once and keeps its state while the new group has no quorum to take it in, over restarts too', async () => {
    const { survivor, second, old } = await rebuilt();
    await harness.stop(second);
    await Promise.all(old.map((machine) => harness.start(machine)));
    const says = 'the managers went on in epoch 1 without this one, which is of epoch 0';
    await until(async () => (await Promise.all(old.map(health))).every(({ raft, problems }) => raft?.state === 'stopped' && problems.some((line) => line.startsWith(says))), 'all of the old group have stopped');
    for (const machine of old) expect(await codeOf(label(machine, 'old'))).toBe('no_quorum');
    expect((await health(old[0]!)).epoch).toBe(1);

    await harness.stop(survivor, ...old);
    await Promise.all(old.map((machine) => harness.start(machine)));
    for (const machine of old) {
      expect((await health(machine)).raft).toMatchObject({ epoch: 0, state: 'stopped' });
      expect(await codeOf(label(machine, 'old'))).toBe('no_quorum');
      expect(existsSync(machine.files.paths.raftAside)).toBe(false);
    }
    // Should all of the new epoch be gone for good, one that was left behind can be the survivor of the next.
    expect(await codeOf(harness.client.call(old[0]!.endpoint, 'node.reform', { epoch: 1 }))).toBe('refused');
    // A disk that does not let the old state be set aside is told of, and tried again.
    const paths = old[0]!.files.paths as { raftAside: string };
    const { raftAside } = paths;
    paths.raftAside = '/nowhere/raft.old';
    await harness.start(survivor);
    await harness.start(second);
    await until(async () => (await health(old[0]!)).problems.some((line) => line.includes('cannot set')), 'the disk is told of');
    expect((await health(old[0]!)).raft).toMatchObject({ epoch: 0, state: 'stopped' });
    paths.raftAside = raftAside;
    await allBack(survivor, 5);
  });

  test('stops when it has been removed, and says what to do', async () => {
    const { survivor, old } = await rebuilt();
    for (const { name } of old) await harness.client.cluster([survivor.endpoint], 'nodes.remove', { node: name, force: true });
    await Promise.all(old.map((machine) => harness.start(machine)));
    await until(async () => (await Promise.all(old.map(health))).every(({ raft, problems }) => raft?.state === 'stopped' && problems.some((line) => line.includes('belt swarm leave'))), 'all of the old group have stopped');
    expect(await codeOf(label(old[0]!, 'old'))).toBe('no_quorum');
    expect((await harness.nodes(survivor)).map(({ name }) => name)).toEqual(['mg0', 'mg1']);
  });

  test('is called back by managers it has never heard of', async () => {
    const { survivor, second, old } = await rebuilt();
    const fresh = await harness.machine('new0');
    await harness.join(fresh, 'manager', survivor);
    for (const machine of [second, survivor]) {
      await harness.client.cluster([fresh.endpoint], 'nodes.remove', { node: machine.name, leaving: true });
      await harness.client.call(machine.endpoint, 'node.leave', {});
      await harness.stop(machine);
    }
    await Promise.all(old.map((machine) => harness.start(machine)));
    await allBack(fresh, 4);
  });

  test('keeps no worker that knows of the new epoch', async () => {
    const { workers: [node0] } = await harness.cluster(1, 1);
    const { identity, session } = node0!.agent!;
    identity.learn({ ...identity.node!.membership, epoch: 1 });
    session!.reconnect();
    await until(() => session!.problem() === 'mg0 is of epoch 0, and the managers went on in epoch 1', 'the worker has left');
  });

  test('pulls back no manager of the new epoch that is still empty, and lets its workers go', async () => {
    const { managers: [survivor, second, ...old], workers: [node0] } = await harness.cluster(5, 1);
    await harness.stop(survivor!, second!);
    const leader = await until(() => leaderOf(old), 'a leader of the old group');
    await until(() => node0!.agent!.session?.current()?.manager === leader.agent!.identity.certificate.name, 'the worker’s session');
    await harness.start(second!);
    await second!.agent!.enterAnew(2);
    await until(() => old.every(({ agent }) => agent?.manager?.group.newerEpoch === 2), 'the old group has heard of it');
    expect(second!.agent!.manager!.group.epoch).toBe(2);
    await until(() => node0!.agent!.session?.current() === null, 'the worker looks for another leader');
  });
});
