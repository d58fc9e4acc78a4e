/** The whole life of a small cluster: real agents, real TLS, real Raft. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { writeText } from '../../src/swarm-agent/identity/files.ts';
import { Harness, leaderOf, until } from './harness.ts';

let harness: Harness;
beforeEach(() => {
  harness = new Harness();
});
afterEach(() => harness.close());

const failure = (promise: Promise<unknown>) => promise.then(() => { throw new Error('it succeeded'); }, (error: unknown) => error as { code: string; message: string });

describe('a cluster of agents', () => {
  test('is founded, takes a worker, and lists both', async () => {
    const { managers: [mg0] } = await harness.cluster(1, 1);
    const nodes = await harness.nodes(mg0!);
    expect(nodes.map(({ name, role, status, managerStatus }) => ({ name, role, status, managerStatus }))).toEqual([
      { name: 'mg0', role: 'manager', status: 'ready', managerStatus: 'leader' },
      { name: 'node0', role: 'worker', status: 'ready', managerStatus: null },
    ]);
  });

  test('three managers share a write, and any of them takes the call', async () => {
    const { managers } = await harness.cluster(3);
    const [mg0, , mg2] = managers;
    await harness.client.cluster([mg2!.endpoint], 'nodes.label', { node: 'mg1', set: { rack: '7' } });
    expect((await harness.nodes(mg0!)).find(({ name }) => name === 'mg1')?.labels).toEqual({ rack: '7' });
    const again = await harness.client.cluster([mg0!.endpoint], 'nodes.label', { node: 'mg1', set: { rack: '7' } });
    expect(again.changed).toBe(false);
    const status = await harness.client.cluster([mg2!.endpoint], 'cluster.status', {});
    expect(status).toMatchObject({ leader: 'mg0', quorum: 2, reachable: 3, tolerates: { nodes: 1 }, workers: { ready: 0, total: 0 } });
    expect(status.managers.every(({ voter, matchIndex }) => voter && (matchIndex ?? 0) > 0)).toBe(true);
  });

  test('the leader dies, another takes over, and the worker finds it; the dead one comes back as itself', async () => {
    const { managers, workers: [node0] } = await harness.cluster(3, 1);
    const old = leaderOf(managers)!;
    const id = old.agent!.identity.certificate.name;
    await harness.stop(old);
    const rest = managers.filter((machine) => machine !== old);
    const leader = await until(() => leaderOf(rest), 'a new leader');
    await harness.client.cluster([leader.endpoint], 'nodes.label', { node: 'node0', set: { after: 'failover' } });
    await until(() => node0!.agent!.session?.current()?.manager === leader.agent!.identity.certificate.name, 'the worker’s new session');
    await until(async () => (await harness.nodes(leader)).find(({ name }) => name === old.name)?.managerStatus === 'unreachable', 'the dead manager is unreachable');
    await harness.start(old);
    expect(old.agent!.identity.certificate.name).toBe(id);
    await until(async () => (await harness.nodes(leader)).find(({ name }) => name === old.name)?.managerStatus === 'reachable', 'the manager is back');
  });

  // That it says so within 3 s is shown in virtual time: test/swarm-agent/api/route.test.ts.
  test('without a quorum every cluster call says so, and the node plane goes on', async () => {
    const { managers } = await harness.cluster(3);
    const [mg0, mg1, mg2] = managers;
    await harness.stop(mg1!, mg2!);
    for (const call of ['cluster.nodes', 'cluster.status'] as const) {
      expect(await failure(harness.client.cluster([mg0!.endpoint], call, {}))).toMatchObject({ code: 'no_quorum', message: '1 of 3 managers reachable, 2 needed' });
    }
    const health = await harness.client.call(mg0!.endpoint, 'node.health', {});
    expect(health.problems).toContain('the managers have no leader');
    const known = await harness.client.call(mg0!.endpoint, 'node.cluster', {});
    expect(known.asOf).not.toBeNull();
    expect(known.nodes.map(({ name }) => name)).toEqual(['mg0', 'mg1', 'mg2']);
    await harness.start(mg1!);
    await until(() => leaderOf([mg0!, mg1!]), 'a leader of the two');
    expect((await harness.nodes(mg1!)).length).toBe(3);
  });

  test('a worker is promoted, and demoted again without a trace of the manager', async () => {
    const { managers: [mg0], workers: [node0] } = await harness.cluster(1, 1);
    await harness.client.cluster([mg0!.endpoint], 'nodes.promote', { node: 'node0' });
    await until(async () => (await harness.nodes(mg0!)).every(({ role, becoming, managerStatus }) => role === 'manager' && becoming === null && managerStatus !== 'unreachable'), 'both are managers');
    expect(node0!.agent!.identity.role).toBe('manager');
    await harness.client.cluster([node0!.endpoint], 'nodes.demote', { node: 'node0' });
    await until(() => node0!.agent!.identity.role === 'worker' && node0!.agent!.session?.current() !== null, 'node0 is a worker with a session');
    expect(node0!.files.sealKey()).toBeNull();
    const nodes = await until(async () => {
      const rows = await harness.nodes(mg0!);
      return rows.every(({ becoming }) => becoming === null) && rows;
    }, 'the demotion is done');
    expect(nodes.map(({ name, role, status }) => [name, role, status])).toEqual([['mg0', 'manager', 'ready'], ['node0', 'worker', 'ready']]);
    const journal = await until(async () => {
      const { entries } = await harness.client.cluster([mg0!.endpoint], 'cluster.journal', {});
      return entries.every(({ state }) => state === 'done') && entries;
    }, 'the journal is closed');
    expect(journal.map(({ action, subject }) => [action, subject])).toEqual([['demote', 'node0'], ['promote', 'node0']]);
  });

  test('a manager that is demoted and promoted again before it has noticed is one again', async () => {
    const { managers: [mg0] } = await harness.cluster(3);
    const voters = async (): Promise<string[]> => {
      const { managers } = await harness.client.cluster([mg0!.endpoint], 'cluster.status', {});
      return managers.filter(({ voter, status }) => voter && status !== 'unreachable').map(({ name }) => name);
    };
    for (let round = 0; round < 5; round += 1) {
      await harness.client.cluster([mg0!.endpoint], 'nodes.demote', { node: 'mg2' });
      await until(async () => (await voters()).length === 2, 'Raft has let it go');
      await harness.client.cluster([mg0!.endpoint], 'nodes.promote', { node: 'mg2' });
      await until(async () => (await voters()).length === 3, 'it votes again');
    }
    await until(async () => (await harness.nodes(mg0!)).every(({ role, becoming }) => role === 'manager' && becoming === null), 'all are managers');
  });

  test('the leader can be demoted: it hands over first', async () => {
    const { managers } = await harness.cluster(3);
    const leader = leaderOf(managers)!;
    const rest = managers.filter((machine) => machine !== leader);
    expect((await harness.client.cluster([leader.endpoint], 'nodes.demote', { node: leader.name })).changed).toBe(true);
    await until(() => leader.agent!.identity.role === 'worker' && leader.agent!.session?.current() !== null, 'the old leader is a worker');
    expect((await harness.nodes(rest[0]!)).find(({ name }) => name === leader.name)).toMatchObject({ role: 'worker', status: 'ready' });
  });

  test('a manager leaves, and is a machine again; its certificate is worth nothing', async () => {
    const { managers } = await harness.cluster(3);
    const [mg0, , mg2] = managers;
    expect((await harness.client.cluster([mg0!.endpoint], 'nodes.remove', { node: 'mg2', leaving: true })).changed).toBe(true);
    expect((await harness.client.call(mg2!.endpoint, 'node.leave', {})).changed).toBe(true);
    expect(mg2!.agent!.identity.role).toBe('machine');
    expect((await harness.client.cluster([mg0!.endpoint], 'nodes.remove', { node: 'mg2', leaving: true })).changed).toBe(false);
    expect((await harness.nodes(mg0!)).map(({ name }) => name)).toEqual(['mg0', 'mg1']);
    await harness.join(mg2!, 'worker', mg0!);
    expect((await harness.nodes(mg0!)).map(({ name, role }) => [name, role])).toEqual([['mg0', 'manager'], ['mg1', 'manager'], ['mg2', 'worker']]);
  });

  test('a node that was removed while it was off joins anew, and one that the cluster lists is left alone', async () => {
    const { managers: [mg0], workers: [node0] } = await harness.cluster(1, 1);
    const before = node0!.agent!.identity.certificate.name;
    const join = async (listed: string | null) =>
      harness.client.call(node0!.endpoint, 'node.join', { managers: [mg0!.endpoint.address], token: await harness.token('worker', mg0!), listed }, { timeoutMs: 10_000 });
    // Its session stands: whoever read the list read it before.
    expect(await join(null)).toMatchObject({ id: before, already: true });
    await harness.stop(node0!);
    await harness.client.cluster([mg0!.endpoint], 'nodes.remove', { node: 'node0', force: true });
    await harness.start(node0!);
    expect(await join(null)).toMatchObject({ role: 'worker', already: false });
    expect((await harness.nodes(mg0!)).map(({ name, status }) => [name, status])).toEqual([['mg0', 'ready'], ['node0', 'ready']]);
    expect(node0!.agent!.identity.certificate.name).not.toBe(before);
  });

  test('managers that would lose the quorum are not demoted', async () => {
    const { managers } = await harness.cluster(3);
    const [mg0, mg1, mg2] = managers;
    await harness.stop(mg2!);
    const leader = await until(() => leaderOf([mg0!, mg1!]), 'a leader');
    await until(async () => (await harness.nodes(leader)).find(({ name }) => name === 'mg2')?.managerStatus === 'unreachable', 'mg2 is seen to be gone');
    const other = leader === mg0 ? mg1! : mg0!;
    expect(await failure(harness.client.cluster([leader.endpoint], 'nodes.demote', { node: other.name }))).toMatchObject({
      code: 'refused', message: `without ${other.name} there are 2 managers, 2 are needed and only 1 are reachable`,
    });
    expect((await harness.client.cluster([leader.endpoint], 'nodes.demote', { node: 'mg2' })).changed).toBe(true);
  });

  test('two demotions at once, each of which could be borne alone, leave the quorum', async () => {
    const { managers } = await harness.cluster(4);
    const [mg0, , , mg3] = managers;
    await harness.stop(mg3!);
    await until(async () => (await harness.nodes(mg0!)).find(({ name }) => name === 'mg3')?.managerStatus === 'unreachable', 'mg3 is seen to be gone');
    await Promise.allSettled(['mg1', 'mg2'].map((node) => harness.client.cluster([mg0!.endpoint], 'nodes.demote', { node })));
    await until(async () => (await harness.client.cluster([mg0!.endpoint], 'cluster.status', {})).managers.length === 3, 'one of them has gone');
    const { changed } = await harness.client.cluster([mg0!.endpoint], 'nodes.label', { node: 'mg0', set: { still: 'here' } });
    expect(changed).toBe(true);
    // The other follows when the third is back.
    await harness.start(mg3!);
    await until(async () => (await harness.nodes(mg0!)).every(({ becoming }) => becoming === null), 'both have gone, or one was refused');
  });

  test('a rebuild keeps labels and workers, takes the others in again, and can be repeated', async () => {
    const { managers, workers: [node0] } = await harness.cluster(3, 1);
    const [mg0, mg1, mg2] = managers;
    await harness.client.cluster([mg0!.endpoint], 'nodes.label', { node: 'node0', set: { kept: 'yes' } });
    for (const epoch of [1, 2]) {
      await harness.stop(mg1!, mg2!);
      const reformed = await harness.client.call(mg0!.endpoint, 'node.reform', { epoch });
      expect(reformed).toMatchObject({ changed: true, raft: { epoch, state: 'leader' } });
      expect((await harness.client.call(mg0!.endpoint, 'node.reform', { epoch })).changed).toBe(false);
      expect((await harness.nodes(mg0!)).find(({ name }) => name === 'node0')).toMatchObject({ labels: { kept: 'yes' } });
      await until(() => node0!.agent!.session?.current() !== null, 'the worker is back');
      await harness.start(mg1!);
      await harness.start(mg2!);
      for (const machine of [mg1!, mg2!]) {
        expect(await harness.client.call(machine.endpoint, 'node.rejoin', { managers: [mg0!.endpoint.address] })).toMatchObject({ role: 'manager' });
      }
      const status = await until(async () => {
        const now = await harness.client.cluster([mg1!.endpoint], 'cluster.status', {});
        return now.reachable === 3 && now;
      }, 'three managers again');
      expect(status.raft.epoch).toBe(epoch);
    }
  });

  test("Raft's limits come from the agent's configuration; wrong ones are named, and the manager does not start", async () => {
    const mg0 = await harness.machine('mg0', { start: false });
    const configure = (raft: object): void => writeText(mg0.files.paths.config, JSON.stringify({ ...mg0.files.config(), raft }));
    configure({ electionMsMin: 420 });
    await harness.start(mg0);
    await harness.init(mg0);
    expect(mg0.agent!.manager!.group.status().electionMs).toBe(420);
    await harness.stop(mg0);
    configure({ electionMsMin: 1 });
    await harness.start(mg0);
    expect([mg0.agent!.manager, mg0.agent!.trouble]).toEqual([null, 'Raft settings: electionMsMin is 1, want a whole number from 20 to 60000; electionMsMin is below twice heartbeatMsMin']);
  });

  test('managers that the operator names are asked before all that are known, and are known for who they are', async () => {
    const { managers, workers: [node0] } = await harness.cluster(3, 1);
    const agent = node0!.agent!;
    await until(() => agent.managers().length === 3, 'the worker knows them all');
    const last = managers.find(({ name }) => name === agent.managers().at(-1)?.name)!;
    expect(agent.hint([last.endpoint.address])).toEqual([{ id: last.agent!.identity.certificate.name, name: last.name, address: last.endpoint.address }]);
    expect(agent.managers()[0]?.name).toBe(last.name);
    expect(agent.managers()).toHaveLength(3);
  });
});
