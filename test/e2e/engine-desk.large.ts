/**
 * The engine's desk and followers (src/swarm-agent/engine) against real engines, without agents around them: the cluster plane is a state in
 * memory. What swarmkit really does with roles, quorum and a forced new cluster is what the fakes of the unit tests must not be trusted with.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { createDriver } from '../../drivers/docker/driver.ts';
import type { Machine } from '../../src/provision/driver.ts';
import type { Group } from '../../src/swarm-agent/api/group.ts';
import { EngineDesk } from '../../src/swarm-agent/engine/desk.ts';
import { dockerEngine } from '../../src/swarm-agent/engine/docker.ts';
import type { Engine, EngineNode } from '../../src/swarm-agent/engine/engine.ts';
import { EngineFollower } from '../../src/swarm-agent/engine/follower.ts';
import { systemClock } from '../../src/swarm-agent/ports.ts';
import { type Change, command } from '../../src/swarm-agent/store/commands.ts';
import { createSealer } from '../../src/swarm-agent/store/sealer.ts';
import { ClusterState } from '../../src/swarm-agent/store/state.ts';
import { installEngines, Sockets } from './engines.ts';
import { clear, clusterTag, make, OPTIONS, order, skipReason, sshKey, until } from './stage.ts';

const idOf = (name: string): string => Buffer.from(name).toString('hex').padEnd(32, '0');
const short = (ms = 10_000): AbortSignal => AbortSignal.timeout(ms);

describe.skipIf(skipReason !== null)('five engines over three datacenters', () => {
  const tag = clusterTag('e2e-desk');
  const driver = createDriver(OPTIONS);
  const folder = mkdtempSync(path.join(tmpdir(), 'belt-e2e-'));
  const sockets = new Sockets();
  const state = new ClusterState();
  const sealer = createSealer(randomBytes(32));
  const engines = new Map<string, Engine>();
  const followers = new Map<string, EngineFollower>();
  const down = new Set<string>();
  const saved: string[] = [];
  let machines: Machine[] = [];
  let desk: EngineDesk;
  let leader = '';
  let epoch = 0;
  let index = 0;

  const machine = (name: string): Machine => machines.find((one) => one.name === name)!;
  const write = (change: Change): void => {
    index += 1;
    const result = state.apply(index, command(randomBytes(16).toString('hex'), Date.now(), change));
    if (!result.ok) throw new Error(result.message);
  };

  function lead(name: string): void {
    leader = name;
    const group = {
      id: idOf(name), state, get epoch() { return epoch; }, write: (_id: string, change: Change) => { write(change); return Promise.resolve(index); },
      status: () => ({ membership: { members: [...state.tables.nodes.values()].filter((node) => node.role === 'manager').map(({ id }) => ({ id, voter: true })) } }),
      transfer: (target: string) => { lead(state.node(target)!.name); return Promise.resolve(); },
    } as unknown as Group;
    desk = new EngineDesk({
      group, engine: engines.get(name)!, advertise: machine(name).publicIpv4!, sealer: () => sealer, ready: (id) => !down.has(state.node(id)?.name ?? ''),
      clock: systemClock, log: (line) => console.log(`${name}: ${line}`), sealed: () => Promise.resolve(false), saveSwarm: () => { saved.push(name); return Promise.resolve(); },
    });
  }

  /** Works as the leader until `done`. */
  const settle = (what: string, ms: number, done: () => Promise<boolean> | boolean): Promise<boolean> => until(what, ms, async () => {
    await desk.work(new AbortController().signal);
    return done();
  });
  const list = (): Promise<EngineNode[]> => engines.get(leader)!.nodes(short());
  const shown = async (): Promise<string[]> => (await list()).map((node) => `${node.hostname} ${node.role} ${node.reachability ?? '-'} ${node.availability} ${node.labels['belt.datacenter'] ?? '?'}`).sort();

  beforeAll(async () => {
    const { publicKey, ssh } = await sshKey(folder);
    machines = await make(driver, order(tag, [['m0', 'x'], ['m1', 'y'], ['m2', 'z'], ['w0', 'x'], ['w1', 'y']], publicKey));
    await installEngines(machines, ssh);
    write({ type: 'cluster.init', clusterId: 'c', name: 'c' });
    for (const one of machines) {
      engines.set(one.name, dockerEngine(await sockets.open(folder, one)));
      write({
        type: 'node.add', node: {
          id: idOf(one.name), name: one.name, role: one.name.startsWith('m') ? 'manager' : 'worker', address: `${one.publicIpv4}:2378`, publicIpv4: one.publicIpv4, privateIpv4: null, driver: 'docker',
          datacenter: one.datacenter, region: one.region, size: one.size, engine: 'docker', dockerId: null, agentVersion: '1', certificate: null,
        },
      });
    }
    lead('m1');
    for (const one of machines) {
      followers.set(one.name, new EngineFollower({
        engine: engines.get(one.name)!, advertise: one.publicIpv4!, clock: systemClock, log: (line) => console.log(`${one.name}: ${line}`), report: (report) => desk.report(idOf(one.name), report),
      }));
    }
  });
  afterAll(async () => {
    for (const follower of followers.values()) await follower.stop();
    sockets.close();
    await clear(driver, tag);
    rmSync(folder, { recursive: true });
  });

  test('form: three managers, two workers, labelled, active', async () => {
    const started = Date.now();
    await settle('the swarm is formed', 60_000, async () => (await shown()).filter((line) => / active docker:/.test(line)).length === 5 && (await list()).filter((node) => node.reachability !== null).length === 3);
    console.log(`formed in ${Date.now() - started} ms`);
    expect((await shown()).map((line) => line.replace('leader', 'reachable'))).toEqual([
      'm0 manager reachable active docker:x', 'm1 manager reachable active docker:y', 'm2 manager reachable active docker:z', 'w0 worker - active docker:x', 'w1 worker - active docker:y',
    ]);
    expect(desk.warnings()).toEqual([]);
  });

  test('a manager is demoted in Docker when the list says so, promoted again the same way', async () => {
    const started = Date.now();
    await desk.stepDown(idOf('m2'), { force: false, signal: short(60_000) });
    console.log(`stepped down in ${Date.now() - started} ms`);
    expect((await list()).find((node) => node.hostname === 'm2')).toMatchObject({ role: 'worker', reachability: null });
    write({ type: 'node.role', node: idOf('m2'), role: 'worker' });
    await settle('agreed', 20_000, async () => !(await desk.work(new AbortController().signal)));
    write({ type: 'node.role', node: idOf('m2'), role: 'manager' });
    await settle('m2 is a manager', 60_000, async () => (await list()).find((node) => node.hostname === 'm2')?.reachability === 'reachable');
  });

  test('with one of three managers dead the next step down is refused, not silently put off', async () => {
    await driver.power([machine('m2').id], 'kill', short(30_000));
    down.add('m2');
    await until('Docker sees it', 60_000, async () => (await list()).find((node) => node.hostname === 'm2')?.reachability === 'unreachable');
    await expect(desk.stepDown(idOf('m0'), { force: false, signal: short(30_000) })).rejects.toMatchObject({ code: 'refused' });
    await driver.power([machine('m2').id], 'start', short(30_000));
    down.delete('m2');
    await until('it is back by itself', 90_000, async () => (await list()).find((node) => node.hostname === 'm2')?.reachability === 'reachable');
  });

  test('two of three managers die; the third goes on alone, workers and labels with it; one of the dead comes back', async () => {
    const before = (await list()).find((node) => node.hostname === 'm0')?.id;
    await driver.power([machine('m0').id, machine('m2').id], 'kill', short(30_000));
    down.add('m0').add('m2');
    lead('m1');
    await until('Docker has no quorum', 60_000, () => list().then(() => false, () => true));
    const started = Date.now();
    epoch = 1;
    write({ type: 'node.remove', node: idOf('m2') });
    await settle('one manager, two workers', 90_000, async () => (await list()).filter((node) => node.state === 'ready').length === 3 && (await list()).filter((node) => node.reachability !== null).length === 1);
    console.log(`rebuilt in ${Date.now() - started} ms`);
    expect(saved).toEqual(['m1']);
    await driver.power([machine('m0').id], 'start', short(30_000));
    down.delete('m0');
    await settle('m0 is a manager again', 120_000, async () => (await list()).some((node) => node.hostname === 'm0' && node.reachability === 'reachable' && node.id !== before));
    await settle('no ghosts', 60_000, async () => (await list()).length === 4);
    expect((await shown()).map((line) => line.replace('leader', 'reachable'))).toEqual([
      'm0 manager reachable active docker:x', 'm1 manager reachable active docker:y', 'w0 worker - active docker:x', 'w1 worker - active docker:y',
    ]);
  });
});
