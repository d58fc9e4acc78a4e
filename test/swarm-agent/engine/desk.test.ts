import { randomBytes } from 'node:crypto';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { Group } from '../../../src/swarm-agent/api/group.ts';
import { nodeRows } from '../../../src/swarm-agent/api/view.ts';
import { EngineDesk } from '../../../src/swarm-agent/engine/desk.ts';
import { EngineFollower } from '../../../src/swarm-agent/engine/follower.ts';
import { AGREED_SETTING, removeNode } from '../../../src/swarm-agent/engine/removal.ts';
import { leaveBehind } from '../../../src/swarm-agent/engine/swarm-record.ts';
import type { Clock } from '../../../src/swarm-agent/ports.ts';
import type { RaftStatus } from '../../../src/swarm-agent/raft/types.ts';
import { type Change, command } from '../../../src/swarm-agent/store/commands.ts';
import { createSealer } from '../../../src/swarm-agent/store/sealer.ts';
import { ClusterState } from '../../../src/swarm-agent/store/state.ts';
import { EngineWorld, type FakeEngine } from '../../fakes/engine-swarm.ts';

/** Time that passes only when a test lets it. */
class Time implements Clock {
  #now = 1_000_000;
  #timers: { at: number; act: () => void }[] = [];
  now(): number { return this.#now; }
  monotonic(): number { return this.#now; }
  after(ms: number, act: () => void): () => void {
    const timer = { at: this.#now + ms, act };
    this.#timers.push(timer);
    return () => { this.#timers = this.#timers.filter((other) => other !== timer); };
  }

  /** Lets `ms` pass, a timer at a time, with all that follows from each. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      for (let turn = 0; turn < 4; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      const next = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#now = Math.max(this.#now, next.at);
      next.act();
    }
    this.#now = end;
  }
}

const PLACE = { 'belt.driver': 'docker', 'belt.datacenter': 'docker:x', 'belt.region': 'x', 'belt.size': '1gb' };
const idOf = (name: string): string => name.padEnd(32, '0').replace(/[^0-9a-f]/g, (c) => c.charCodeAt(0).toString(16)).slice(0, 32);

/** A cluster plane without Raft under it: writes are applied at once. */
class Cluster {
  readonly time = new Time();
  readonly world = new EngineWorld();
  readonly state = new ClusterState();
  readonly engines = new Map<string, FakeEngine>();
  readonly followers = new Map<string, EngineFollower>();
  readonly saved: string[] = [];
  readonly logs: string[] = [];
  readonly #sealer = createSealer(randomBytes(32));
  epoch = 0;
  desk!: EngineDesk;
  leader = '';
  #index = 0;

  constructor() {
    this.write({ type: 'cluster.init', clusterId: 'c', name: 'c' });
  }

  write(change: Change): void {
    this.#index += 1;
    const result = this.state.apply(this.#index, command(randomBytes(16).toString('hex'), this.time.now(), change));
    if (!result.ok) throw new Error(result.message);
  }

  add(name: string, role: 'manager' | 'worker', { follow = true } = {}): FakeEngine {
    const engine = this.world.engine(name);
    this.engines.set(name, engine);
    this.write({
      type: 'node.add', node: {
        id: idOf(name), name, role, address: `${name}:2378`, publicIpv4: null, privateIpv4: null, driver: 'docker', datacenter: 'docker:x', region: 'x', size: '1gb',
        engine: 'docker', dockerId: null, agentVersion: '1', certificate: null,
      },
    });
    if (follow) this.follow(name);
    return engine;
  }

  follow(name: string): void {
    this.followers.set(name, new EngineFollower({
      engine: this.engines.get(name)!, advertise: name, clock: this.time, log: (line) => this.logs.push(`${name} ${line}`),
      report: async (report) => Promise.resolve(this.desk.report(idOf(name), report)),
    }));
  }

  /** `name` leads from now on, with a desk that remembers nothing. */
  lead(name: string): void {
    this.leader = name;
    const cluster = this;
    const group = {
      id: idOf(name), state: this.state, get epoch() { return cluster.epoch; }, write: (_id: string, change: Change) => { this.write(change); return Promise.resolve(this.#index); },
      status: () => ({ membership: { members: [...this.state.tables.nodes.values()].filter((node) => node.role === 'manager').map(({ id }) => ({ id, voter: true })) } }),
      transfer: (target: string) => { this.lead(this.state.node(target)?.name ?? ''); return Promise.resolve(); },
    } as unknown as Group;
    this.desk = new EngineDesk({
      group, engine: this.engines.get(name)!, advertise: name, sealer: () => this.#sealer, ready: (id) => [...this.engines.values()].some((engine) => idOf(engine.name) === id && engine.running),
      clock: this.time, log: (line) => this.logs.push(line), sealed: () => Promise.resolve(this.engines.get(name)?.swarm?.autolock === true), saveSwarm: () => { this.saved.push(name); return Promise.resolve(); },
    });
  }

  /** Lets time pass with the leader looking every half second. */
  async run(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 500) {
      await this.time.pass(500);
      await this.desk.work(new AbortController().signal);
    }
  }

  /** hostname → role, reachability, availability as Docker's list shows it. */
  shown(): Record<string, string> {
    const list = [...this.engines.values()].flatMap((engine) => engine.seen() ?? []);
    return Object.fromEntries(list.map((node) => [node.hostname, `${node.role}/${node.reachability === null ? '-' : 'member'}/${node.availability}`]));
  }

  async stop(): Promise<void> {
    for (const follower of this.followers.values()) await follower.stop();
  }
}

let cluster: Cluster;
beforeEach(() => { cluster = new Cluster(); });
afterEach(() => cluster.stop());

function formed(): void {
  for (const name of ['m0', 'm1', 'm2']) cluster.add(name, 'manager');
  for (const name of ['w0', 'w1']) cluster.add(name, 'worker');
  cluster.lead('m0');
}

const FORMED = { m0: 'manager/member/active', m1: 'manager/member/active', m2: 'manager/member/active', w0: 'worker/-/active', w1: 'worker/-/active' };

describe('forming', () => {
  test('the agents’ roles become Docker’s, labelled before they take work, one manager at a time', async () => {
    formed();
    await cluster.run(20_000);
    expect(cluster.shown()).toEqual(FORMED);
    expect(cluster.world.roleChanges).toEqual(['m1 manager', 'm2 manager']);
    for (const engine of cluster.engines.values()) expect(engine.seen()?.labels).toEqual(PLACE);
    expect(cluster.state.tables.swarm?.workerToken).not.toContain('worker-');
    expect(cluster.desk.warnings()).toEqual([]);
    expect(await cluster.desk.work(new AbortController().signal)).toBe(false);
  });

  test('a leader that dies between forming the swarm and writing it down does not lead to a second swarm', async () => {
    formed();
    await cluster.time.pass(100);
    await cluster.desk.work(new AbortController().signal);
    const founder = cluster.engines.get('m0')!;
    while (founder.swarm === null) await cluster.time.pass(100);
    expect(cluster.state.tables.swarm).toBeNull();
    cluster.lead('m1');
    // The next leader hears of its own engine first.
    await cluster.desk.report(idOf('m1'), { version: '20.10', swarm: 'inactive', dockerId: null, isManager: false, tokens: null });
    await cluster.desk.work(new AbortController().signal);
    await cluster.run(20_000);
    expect(new Set([...cluster.engines.values()].map((engine) => engine.swarm?.id)).size).toBe(1);
    expect(cluster.shown()).toEqual(FORMED);
    expect(cluster.leader).toBe('m0');
  });

  test.each([[true, 'leaves and joins'], [false, 'is left where it is: it may be somebody’s']])('an engine in another swarm, left behind there: %s; it %s', async (left) => {
    const other = cluster.world.engine('other');
    await other.init({ advertise: 'other', availability: 'active', forceNew: false });
    formed();
    const w0 = cluster.engines.get('w0')!;
    await w0.join({ managers: ['other'], token: (await other.tokens()).worker, advertise: 'w0', availability: 'active' });
    other.running = false;
    if (left) cluster.write(leaveBehind(w0.dockerId!));
    await cluster.run(20_000);
    expect(w0.swarm === other.swarm).toBe(!left);
    if (left) expect(cluster.shown()).toEqual(FORMED);
    else expect(cluster.followers.get('w0')!.stands).toContain('Docker’s managers do not list that');
  });

  test('an engine that dies over its join is not where it belongs until it has come back and joined', async () => {
    formed();
    const w0 = cluster.engines.get('w0')!;
    w0.running = false;
    await cluster.run(20_000);
    expect(cluster.followers.get('w0')!.settled).toBe(false);
    expect(cluster.followers.get('w0')!.problem()).toContain('does not answer');
    w0.running = true;
    await cluster.run(2_000);
    expect(cluster.followers.get('w0')!.settled).toBe(true);
    expect(w0.swarm).not.toBeNull();
  });

  test('a founder whose engine is gone is replaced', async () => {
    formed();
    cluster.engines.get('m0')!.running = false;
    await cluster.run(20_000);
    expect(cluster.engines.get('m1')!.swarm).not.toBeNull();
  });

  test('a swarm made by hand is adopted: its tokens, its managers', async () => {
    for (const name of ['m0', 'w0', 'w1']) cluster.add(name, name === 'm0' ? 'manager' : 'worker', { follow: false });
    cluster.lead('m0');
    const first = cluster.engines.get('m0')!;
    const { manager } = await first.init({ advertise: 'm0', availability: 'active', forceNew: false });
    await cluster.engines.get('w0')!.join({ managers: ['m0'], token: manager, advertise: 'w0', availability: 'active' });
    for (const name of ['m0', 'w0', 'w1']) cluster.follow(name);
    await cluster.run(20_000);
    expect(cluster.shown()).toEqual({ m0: 'manager/member/active', w0: 'manager/member/active', w1: 'worker/-/active' });
    expect(cluster.state.node('w0')?.role).toBe('manager');
    expect(cluster.world.roleChanges).toEqual([]);
  });

  test('beside a locked engine no second swarm is formed: it may be the manager of the first', async () => {
    formed();
    const m1 = cluster.engines.get('m1')!;
    await m1.init({ advertise: 'm1', availability: 'active', forceNew: false });
    m1.locked = true;
    await cluster.run(20_000);
    expect([...cluster.engines.values()].filter(({ swarm }) => swarm !== null)).toEqual([m1]);
    expect(cluster.desk.warnings()).toEqual([expect.stringContaining('belt --host m1 docker swarm unlock')]);
    m1.locked = false;
    await cluster.run(20_000);
    expect(new Set([...cluster.engines.values()].map((engine) => engine.swarm?.id))).toEqual(new Set([m1.swarm!.id]));
  });

  test('an engine in somebody else’s swarm stays there and is not taken for ours', async () => {
    formed();
    await cluster.engines.get('w1')!.init({ advertise: 'w1', availability: 'active', forceNew: false });
    await cluster.run(20_000);
    expect(cluster.state.node('w1')?.dockerId).toBeNull();
    expect(cluster.shown()).toMatchObject({ w0: 'worker/-/active' });
  });
});

describe('afterwards', () => {
  beforeEach(async () => {
    formed();
    await cluster.run(20_000);
  });

  test('labels and availability go both ways', async () => {
    cluster.write({ type: 'node.label', node: idOf('w0'), set: { disk: 'ssd' }, remove: [] });
    const w1 = cluster.engines.get('w1')!;
    await cluster.engines.get('m0')!.updateNode(w1.dockerId!, { availability: 'drain' });
    await cluster.run(5_000);
    expect(cluster.engines.get('w0')!.seen()?.labels).toEqual({ ...PLACE, disk: 'ssd' });
    expect(cluster.state.node('w1')?.availability).toBe('drain');
  });

  test('a manager steps down in Docker first, and only where the quorum is kept', async () => {
    await Promise.all([cluster.desk.stepDown(idOf('m2'), { force: false, signal: new AbortController().signal }), cluster.time.pass(10_000)]);
    expect(cluster.engines.get('m2')!.seen()).toMatchObject({ role: 'worker', reachability: null });
    cluster.engines.get('m1')!.running = false;
    // Two members, one gone: no quorum at all, and Docker answers nothing.
    await expect(cluster.desk.stepDown(idOf('m1'), { force: false, signal: new AbortController().signal })).rejects.toMatchObject({ code: 'engine' });
    await cluster.desk.stepDown(idOf('m1'), { force: true, signal: new AbortController().signal });
  });

  test('a node is on its way to its role until Docker has come to it too', async () => {
    const raft = { role: 'leader', leader: idOf('m0'), peers: [], membership: { members: [...cluster.state.tables.nodes.keys()].map((id) => ({ id, address: '', voter: true })) } } as unknown as RaftStatus;
    const becoming = () => nodeRows({ self: idOf('m0'), state: cluster.state, raft, epoch: 0, disk: { logBytes: 0, snapshotAgeMs: 0 }, alive: () => 'ready' }).find(({ name }) => name === 'w0')?.becoming;
    cluster.world.slowness = 5;
    cluster.write({ type: 'node.role', node: idOf('w0'), role: 'manager' });
    await cluster.run(1_000);
    expect([becoming(), cluster.shown()['w0']]).toEqual(['manager', 'manager/-/active']);
    await cluster.run(10_000);
    expect([becoming(), cluster.shown()['w0']]).toEqual([null, 'manager/member/active']);
  });

  test('a worker that is promoted, and demoted while Docker is still at it, is a worker on both sides', async () => {
    cluster.world.slowness = 5;
    cluster.write({ type: 'node.role', node: idOf('w0'), role: 'manager' });
    while (!cluster.world.roleChanges.includes('w0 manager')) await cluster.run(500);
    // The reconciler looks again between Docker's demotion and belt's own.
    const demote = cluster.desk.stepDown(idOf('w0'), { force: false, signal: new AbortController().signal }).then(() => cluster.write({ type: 'node.role', node: idOf('w0'), role: 'worker' }));
    await cluster.time.pass(0);
    await cluster.desk.work(new AbortController().signal);
    await Promise.all([demote, cluster.run(3_000)]);
    expect(cluster.world.roleChanges.slice(-2)).toEqual(['w0 manager', 'w0 worker']);
    await cluster.run(20_000);
    expect([cluster.state.node('w0')?.role, cluster.shown(), cluster.desk.warnings()]).toEqual(['worker', FORMED, []]);
    // It may become one again at once.
    cluster.world.slowness = 0;
    cluster.write({ type: 'node.role', node: idOf('w0'), role: 'manager' });
    await cluster.run(3_000);
    expect(cluster.shown()).toEqual({ ...FORMED, w0: 'manager/member/active' });
  });

  test('a step down that would leave too few reachable managers is refused, not asked for', async () => {
    cluster.engines.get('m2')!.running = false;
    await expect(cluster.desk.stepDown(idOf('m1'), { force: false, signal: new AbortController().signal })).rejects.toMatchObject({ code: 'refused' });
    expect(cluster.world.roleChanges).toEqual(['m1 manager', 'm2 manager']);
  });

  test('a node that leaves the cluster leaves no ghost in Docker', async () => {
    const id = cluster.engines.get('w1')!.dockerId!;
    await cluster.followers.get('w1')!.stop();
    cluster.write({ type: 'node.remove', node: idOf('w1') });
    await cluster.engines.get('w1')!.leave();
    await cluster.run(5_000);
    expect((await cluster.engines.get('m0')!.nodes()).map((node) => node.id)).not.toContain(id);
    expect([...cluster.state.tables.settings.keys()].filter((key) => key.includes(idOf('w1')))).toEqual([]);
  });

  test('a node that leaves in the second after it joined, before anything was agreed on, leaves no ghost either', async () => {
    const w9 = cluster.add('w9', 'worker');
    while (cluster.state.node('w9')?.dockerId == null) await cluster.time.pass(100);
    expect(cluster.state.tables.settings.has(AGREED_SETTING + idOf('w9'))).toBe(false);
    const id = w9.dockerId!;
    await cluster.followers.get('w9')!.stop();
    cluster.write(removeNode(cluster.state, cluster.state.node('w9')!));
    await w9.leave();
    await cluster.run(5_000);
    expect((await cluster.engines.get('m0')!.nodes()).map((node) => node.id)).not.toContain(id);
    expect(cluster.state.tables.settings.has(AGREED_SETTING + idOf('w9'))).toBe(false);
  });

  test('an engine that stayed in the swarm when its node was removed leaves and joins again', async () => {
    const w1 = cluster.engines.get('w1')!;
    const before = w1.dockerId!;
    await cluster.followers.get('w1')!.stop();
    cluster.write({ type: 'node.remove', node: idOf('w1') });
    await cluster.run(5_000);
    cluster.add('w1', 'worker', { follow: false });
    cluster.engines.set('w1', w1);
    cluster.follow('w1');
    await cluster.run(20_000);
    expect(w1.dockerId).not.toBe(before);
    expect(cluster.shown()).toEqual(FORMED);
    expect(cluster.desk.warnings()).toEqual([]);
  });

  test('what the leader’s engine lists of a swarm made by hand meanwhile says nothing of ours', async () => {
    const m0 = cluster.engines.get('m0')!;
    await m0.leave();
    await m0.init({ advertise: 'm0', availability: 'active', forceNew: false });
    cluster.logs.length = 0;
    await cluster.run(30_000);
    expect(cluster.leader).not.toBe('m0');
    expect(cluster.logs.filter((line) => line.includes('engine: leave'))).toEqual([]);
    expect(['m1', 'm2', 'w0', 'w1'].map((name) => cluster.engines.get(name)!.swarm?.id)).toEqual(['swarm1', 'swarm1', 'swarm1', 'swarm1']);
  });

  test('removed by hand with docker, it joins again', async () => {
    const w1 = cluster.engines.get('w1')!;
    const before = w1.dockerId;
    await w1.leave();
    await cluster.engines.get('m0')!.removeNode(before!);
    await cluster.run(60_000);
    expect(w1.dockerId).not.toBeNull();
    expect(w1.dockerId).not.toBe(before);
    expect(cluster.shown()).toEqual(FORMED);
  });

  test('rebuild: the survivor goes on alone with its directory saved, the managers that come back join again, labels stay', async () => {
    cluster.write({ type: 'node.label', node: idOf('m1'), set: { disk: 'ssd' }, remove: [] });
    await cluster.run(5_000);
    const [m0, m1, m2] = ['m0', 'm1', 'm2'].map((name) => cluster.engines.get(name)!) as [FakeEngine, FakeEngine, FakeEngine];
    m0.running = false;
    m1.running = false;
    cluster.epoch = 1;
    cluster.write({ type: 'node.remove', node: idOf('m0') });
    cluster.lead('m2');
    await cluster.run(40_000);
    expect(cluster.saved).toEqual(['m2']);
    expect((await m2.nodes()).filter((node) => node.reachability !== null).map((node) => node.hostname)).toEqual(['m2']);
    const before = m1.dockerId;
    m1.running = true;
    await cluster.run(60_000);
    expect(m1.dockerId).not.toBe(before);
    const list = await m2.nodes();
    expect(list.find((node) => node.id === m1.dockerId)).toMatchObject({ role: 'manager', labels: { ...PLACE, disk: 'ssd' } });
    expect(list.map((node) => node.id)).not.toContain(before);
    expect(cluster.saved).toEqual(['m2']);
  });

  test('rebuild: a survivor that was Docker’s leader and still answers for a while as if nobody were gone goes on alone all the same', async () => {
    const m2 = cluster.engines.get('m2')!;
    const nodes = m2.nodes.bind(m2);
    const stale = (await nodes()).map((node) => (node.reachability === null ? node : { ...node, reachability: node.hostname === 'm2' ? 'leader' as const : 'reachable' as const }));
    const stepsDown = cluster.time.monotonic() + 19_000;
    m2.nodes = () => (cluster.time.monotonic() < stepsDown ? Promise.resolve(stale) : nodes());
    for (const name of ['m0', 'm1']) cluster.engines.get(name)!.running = false;
    cluster.epoch = 1;
    cluster.write({ type: 'node.remove', node: idOf('m0') });
    cluster.lead('m2');
    expect([cluster.desk.rebuilding, cluster.desk.warnings()]).toEqual([true, ['Docker’s half of the rebuild is under way']]);
    while (cluster.desk.rebuilding) await cluster.run(500);
    expect(cluster.desk.warnings()).toEqual([]);
    await cluster.run(60_000);
    expect(cluster.saved).toEqual(['m2']);
    expect((await nodes()).filter((node) => node.reachability !== null).map((node) => node.hostname)).toEqual(['m2']);
    expect(cluster.world.roleChanges).not.toContain('m0 worker');
  });

  test('rebuild: Docker’s managers that choose a leader meanwhile keep their swarm', async () => {
    const m2 = cluster.engines.get('m2')!;
    const nodes = m2.nodes.bind(m2);
    const elected = cluster.time.monotonic() + 19_000;
    m2.nodes = () => (cluster.time.monotonic() < elected ? Promise.reject(new Error('The swarm does not have a leader.')) : nodes());
    cluster.epoch = 1;
    cluster.lead('m2');
    await cluster.run(60_000);
    expect(cluster.saved).toEqual([]);
    expect(cluster.shown()).toEqual(FORMED);
    expect(cluster.desk.warnings()).toEqual([]);
  });

  test('rebuild: however often the engine fails to go on alone, its directory is saved once, as it was', async () => {
    const m2 = cluster.engines.get('m2')!;
    const init = m2.init.bind(m2);
    let failures = 5;
    m2.init = (options) => (failures-- > 0 ? Promise.reject(new Error('the engine took too long')) : init(options));
    for (const name of ['m0', 'm1']) cluster.engines.get(name)!.running = false;
    cluster.epoch = 1;
    cluster.lead('m2');
    await cluster.run(120_000);
    expect(failures).toBeLessThan(0);
    expect(cluster.saved).toEqual(['m2']);
  });

  test('a node that died over its join before it had a name is removed after a minute', async () => {
    const { swarm } = cluster.engines.get('m0')!;
    const known = [...swarm!.nodes.values()][0]!;
    swarm!.nodes.set('ghost', { ...known, id: 'ghost', hostname: '', role: 'worker', labels: {} });
    await cluster.run(50_000);
    expect([swarm!.nodes.has('ghost'), cluster.desk.warnings()]).toEqual([true, []]);
    await cluster.run(20_000);
    expect(swarm!.nodes.has('ghost')).toBe(false);
  });

  test('without a quorum no engine is told to join: that would end what its disk still holds of the swarm', async () => {
    const [m0, m1, m2] = ['m0', 'm1', 'm2'].map((name) => cluster.engines.get(name)!) as [FakeEngine, FakeEngine, FakeEngine];
    m1.running = m2.running = false;
    await cluster.run(20_000);
    m0.swarm = m0.dockerId = null;
    cluster.logs.length = 0;
    await cluster.run(20_000);
    expect(cluster.logs.filter((line) => line.includes('engine: join'))).toEqual([]);
  });

  test('nor by a leader whose own engine still manages: it has nobody to join', async () => {
    for (const name of ['m0', 'm1']) cluster.engines.get(name)!.running = false;
    cluster.lead('m2');
    await cluster.run(20_000);
    const m1 = cluster.engines.get('m1')!;
    [m1.running, m1.swarm, m1.dockerId] = [true, null, null];
    cluster.logs.length = 0;
    await cluster.run(20_000);
    expect(cluster.logs.filter((line) => line.includes('engine: join'))).toEqual([]);
  });

  test('Docker’s quorum lost for good while the agents kept theirs: after a minute the way out is told, from a manager whose engine is left', async () => {
    for (const name of ['m0', 'm1']) cluster.engines.get(name)!.swarm = cluster.engines.get(name)!.dockerId = null;
    await cluster.run(30_000);
    expect(cluster.desk.warnings()).toEqual([expect.not.stringContaining('rebuild')]);
    await cluster.run(60_000);
    expect(cluster.desk.warnings()).toEqual([expect.stringMatching(/cannot be seen .*belt swarm rebuild --from m2 --force$/)]);
    cluster.epoch = 1;
    cluster.lead('m2');
    await cluster.run(120_000);
    expect([cluster.desk.warnings(), cluster.shown()]).toEqual([[], FORMED]);
  });

  describe('under autolock', () => {
    beforeEach(async () => {
      cluster.engines.get('m0')!.swarm!.autolock = true;
      await cluster.run(20_000);
    });

    test('is told, and a manager that restarts is named until it is unlocked; nothing is done to it', async () => {
      expect(cluster.desk.warnings()).toEqual([expect.stringContaining('autolock is on')]);
      const m1 = cluster.engines.get('m1')!;
      const before = m1.dockerId;
      m1.locked = true;
      await cluster.run(20_000);
      expect(cluster.desk.warnings()[0]).toContain('belt --host m1 docker swarm unlock');
      expect(cluster.followers.get('m1')).toMatchObject({ locked: true, settled: false });
      expect(cluster.followers.get('m1')!.problem()).toContain('docker swarm unlock');
      m1.locked = false;
      await cluster.run(20_000);
      expect(cluster.desk.warnings()).toEqual([expect.stringContaining('autolock is on')]);
      expect(cluster.followers.get('m1')).toMatchObject({ locked: false, settled: true });
      expect(m1.dockerId).toBe(before);
    });

    test('the leader whose own engine is locked hands over', async () => {
      cluster.engines.get('m0')!.locked = true;
      await cluster.run(20_000);
      expect(cluster.leader).not.toBe('m0');
      expect(cluster.desk.warnings()[0]).toContain('belt --host m0 docker swarm unlock');
    });

    test('a rebuild does not touch the engine of the survivor, and says what is needed; with the managers unlocked all is as before', async () => {
      const [m0, m1, m2] = ['m0', 'm1', 'm2'].map((name) => cluster.engines.get(name)!) as [FakeEngine, FakeEngine, FakeEngine];
      const ids = [m0, m1, m2].map(({ dockerId }) => dockerId);
      m0.running = m1.running = false;
      cluster.epoch = 1;
      cluster.lead('m2');
      await cluster.run(40_000);
      expect(m2.swarm).not.toBeNull();
      expect(cluster.saved).toEqual([]);
      expect(cluster.desk.warnings()[0]).toMatch(/lost its quorum under autolock.*unlock each/);
      m0.running = m1.running = m0.locked = m1.locked = true;
      await cluster.run(20_000);
      m0.locked = m1.locked = false;
      await cluster.run(40_000);
      expect([m0, m1, m2].map(({ dockerId }) => dockerId)).toEqual(ids);
      expect(cluster.desk.warnings()).toEqual([expect.stringContaining('autolock is on')]);
      expect(cluster.shown()).toEqual(FORMED);
    });
  });

  test('a leader that dies between forcing the new cluster and writing it down leaves nobody behind for good', async () => {
    const [m0, m1, m2] = ['m0', 'm1', 'm2'].map((name) => cluster.engines.get(name)!) as [FakeEngine, FakeEngine, FakeEngine];
    const before = m1.dockerId;
    m0.running = m1.running = false;
    cluster.epoch = 1;
    cluster.write({ type: 'node.remove', node: idOf('m0') });
    await m2.init({ advertise: 'm2', availability: 'active', forceNew: true });
    cluster.lead('m2');
    await cluster.run(20_000);
    m1.running = true;
    await cluster.run(60_000);
    expect(m1.dockerId).not.toBe(before);
    expect((await m2.nodes()).filter(({ reachability }) => reachability !== null).map(({ hostname }) => hostname).sort()).toEqual(['m1', 'm2']);
  });

  test('rebuild of the agents where Docker kept its quorum: the swarm is left as it is', async () => {
    cluster.epoch = 1;
    await cluster.run(40_000);
    expect(cluster.saved).toEqual([]);
    expect(cluster.shown()).toEqual(FORMED);
  });
});
