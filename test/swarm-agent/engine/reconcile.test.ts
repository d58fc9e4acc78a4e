import fc from '../../property.ts';
import { describe, expect, test } from 'vitest';

import type { EngineNode } from '../../../src/swarm-agent/engine/engine.ts';
import { type Action, type Agreed, type BeltNode, decide, mayDemote, placeLabels, type View } from '../../../src/swarm-agent/engine/reconcile.ts';

const PLACE = { 'belt.driver': 'docker', 'belt.datacenter': 'docker:x', 'belt.region': 'x', 'belt.size': '1gb' };

function belt(name: string, over: Partial<BeltNode> = {}): BeltNode {
  return { id: `b-${name}`, name, role: 'worker', availability: 'active', labels: {}, driver: 'docker', datacenter: 'docker:x', region: 'x', size: '1gb', engine: 'docker', dockerId: `d-${name}`, ready: true, ...over };
}

function engine(name: string, over: Partial<EngineNode> = {}): EngineNode {
  return { id: `d-${name}`, hostname: name, address: '', role: 'worker', availability: 'active', state: 'ready', labels: PLACE, reachability: null, version: '', ...over };
}

const manager = (name: string, over: Partial<EngineNode> = {}): EngineNode => engine(name, { role: 'manager', reachability: 'reachable', ...over });
const agreed = (name: string, over: Partial<Agreed> = {}): Agreed => ({ dockerId: `d-${name}`, role: 'worker', availability: 'active', labels: {}, ...over });
const view = (nodes: BeltNode[], docker: EngineNode[], known: Record<string, Agreed> = {}, abandoned: string[] = []): View => ({ nodes, docker, agreed: new Map(Object.entries(known)), abandoned: new Set(abandoned), steppingDown: new Set() });
const threeManagers = [manager('m1', { reachability: 'leader' }), manager('m2'), manager('m3')];
const threeBelts = ['m1', 'm2', 'm3'].map((name) => belt(name, { role: 'manager' }));
const threeAgreed = Object.fromEntries(['m1', 'm2', 'm3'].map((name) => [`b-${name}`, agreed(name, { role: 'manager' })]));

const ghost = engine('g', { hostname: '', state: 'unknown', labels: {} });

const cases: [string, View, Action[], (string | RegExp)[]][] = [
  ['a node that is only just joining is no news', view([], [ghost]), [], []],
  ['one that never came goes', view([], [ghost], {}, ['d-g']), [{ do: 'drop', dockerId: 'd-g' }], []],
  ['a node that just joined, drained, is labelled before anything else', view([belt('n')], [engine('n', { availability: 'drain', labels: {} })]),
    [{ do: 'engine', node: 'b-n', dockerId: 'd-n', change: { labels: PLACE } }], []],
  ['then activated', view([belt('n')], [engine('n', { availability: 'drain' })]),
    [{ do: 'engine', node: 'b-n', dockerId: 'd-n', change: { availability: 'active' } }], []],
  ['then agreed on', view([belt('n')], [engine('n')]), [{ do: 'agree', node: 'b-n', agreed: agreed('n') }], []],
  ['then left alone', view([belt('n')], [engine('n')], { 'b-n': agreed('n') }), [], []],
  ['a node that joined to be a manager is promoted when its agent answers', view([belt('n', { role: 'manager' })], [engine('n')]),
    [{ do: 'engine', node: 'b-n', dockerId: 'd-n', change: { role: 'manager' } }], []],
  ['and not before', view([belt('n', { role: 'manager', ready: false })], [engine('n')]), [], []],
  ['belt’s labels go to Docker', view([belt('n', { labels: { disk: 'ssd' } })], [engine('n')], { 'b-n': agreed('n') }),
    [{ do: 'engine', node: 'b-n', dockerId: 'd-n', change: { labels: { ...PLACE, disk: 'ssd' } } }], []],
  ['labels set with docker are adopted', view([belt('n')], [engine('n', { labels: { ...PLACE, disk: 'ssd' } })], { 'b-n': agreed('n') }),
    [{ do: 'adopt', node: 'b-n', labels: { disk: 'ssd' } }], []],
  ['at first sight both sides’ labels are kept', view([belt('n', { labels: { a: '1' } })], [engine('n', { labels: { b: '2', a: '0' } })]),
    [{ do: 'engine', node: 'b-n', dockerId: 'd-n', change: { labels: { ...PLACE, a: '1', b: '2' } } }, { do: 'adopt', node: 'b-n', labels: { a: '1', b: '2' } }], []],
  ['a place label that somebody changed is put right', view([belt('n')], [engine('n', { labels: { ...PLACE, 'belt.region': 'y' } })], { 'b-n': agreed('n') }),
    [{ do: 'engine', node: 'b-n', dockerId: 'd-n', change: { labels: PLACE } }], []],
  ['drained with docker: adopted', view([belt('n')], [engine('n', { availability: 'drain' })], { 'b-n': agreed('n') }), [{ do: 'adopt', node: 'b-n', availability: 'drain' }], []],
  ['drained with belt: carried out', view([belt('n', { availability: 'drain' })], [engine('n')], { 'b-n': agreed('n') }),
    [{ do: 'engine', node: 'b-n', dockerId: 'd-n', change: { availability: 'drain' } }], []],
  ['promoted with docker: adopted', view([...threeBelts, belt('n')], [...threeManagers, manager('n')], { ...threeAgreed, 'b-n': agreed('n') }), [{ do: 'adopt', node: 'b-n', role: 'manager' }], []],
  ['demoted with docker: adopted with a warning', view(threeBelts, [manager('m1', { reachability: 'leader' }), manager('m2'), engine('m3')], threeAgreed),
    [{ do: 'adopt', node: 'b-m3', role: 'worker' }], [/m3 was demoted with docker/]],
  ['managers of a swarm made by hand are adopted', view([belt('m1', { role: 'manager' }), belt('m2')], [manager('m1', { reachability: 'leader' }), manager('m2')]),
    [{ do: 'agree', node: 'b-m1', agreed: agreed('m1', { role: 'manager' }) }, { do: 'adopt', node: 'b-m2', role: 'manager' }], []],
  ['demoted with belt: Docker follows', view([...threeBelts.slice(0, 2), belt('m3')], threeManagers, threeAgreed),
    [{ do: 'engine', node: 'b-m3', dockerId: 'd-m3', change: { role: 'worker' } }], []],
  ['a demotion that is on its way is waited for', view([...threeBelts.slice(0, 2), belt('m3')], [...threeManagers.slice(0, 2), manager('m3', { role: 'worker' })], threeAgreed), [], []],
  ['one role at a time: nothing else starts while one is on its way',
    view([threeBelts[0]!, belt('m2'), belt('m3')], [threeManagers[0]!, manager('m2', { role: 'worker' }), manager('m3')], threeAgreed), [], []],
  ['promotions come before demotions', view([...threeBelts.slice(1), belt('m1'), belt('n', { role: 'manager' })], [...threeManagers, engine('n')], { ...threeAgreed, 'b-n': agreed('n') }),
    [{ do: 'engine', node: 'b-n', dockerId: 'd-n', change: { role: 'manager' } }], []],
  ['the leader is demoted last', view([belt('m1'), belt('m2'), threeBelts[2]!], threeManagers, threeAgreed), [{ do: 'engine', node: 'b-m2', dockerId: 'd-m2', change: { role: 'worker' } }], []],
  ['a demotion that would cost the quorum is not asked for', view([threeBelts[0]!, threeBelts[1]!, belt('m3')], [threeManagers[0]!, manager('m2', { reachability: 'unreachable' }), threeManagers[2]!], threeAgreed),
    [], [/m3 stays a manager/]],
  ['a removed worker is removed from Docker', view([], [engine('n')], { 'b-n': agreed('n') }), [{ do: 'remove', node: 'b-n', dockerId: 'd-n' }], []],
  ['a removed manager is demoted first', view(threeBelts.slice(0, 2), [...threeManagers.slice(0, 2), manager('m3', { reachability: 'unreachable' })], threeAgreed),
    [{ do: 'engine', node: 'b-m3', dockerId: 'd-m3', change: { role: 'worker' } }], []],
  ['and removed when the list shows a worker', view(threeBelts.slice(0, 2), [...threeManagers.slice(0, 2), engine('m3', { state: 'down' })], threeAgreed), [{ do: 'remove', node: 'b-m3', dockerId: 'd-m3' }], []],
  ['what is agreed on goes when Docker’s node is gone already', view([], [], { 'b-n': agreed('n') }), [{ do: 'remove', node: 'b-n', dockerId: 'd-n' }], []],
  ['a node removed with docker is forgotten, so that it joins again', view([belt('n')], [], { 'b-n': agreed('n') }), [{ do: 'forget', node: 'b-n', dockerId: 'd-n' }], [/n was removed from the swarm/]],
  ['a node that joined anew: its former Docker node goes', view([belt('n')], [engine('n'), engine('old', { state: 'down' })], { 'b-n': agreed('old') }),
    [{ do: 'drop', dockerId: 'd-old' }, { do: 'agree', node: 'b-n', agreed: agreed('n') }], []],
  ['a manager that is down is not waited for as if it were being promoted',
    view([...threeBelts, belt('n', { role: 'manager' })], [...threeManagers, engine('gone', { role: 'manager', state: 'down' }), engine('n')], threeAgreed),
    [{ do: 'engine', node: 'b-n', dockerId: 'd-n', change: { role: 'manager' } }], [/gone/]],
  ['a ghost is named', view([], [engine('g', { state: 'down' })]), [], ['g (d-g) is in the swarm but no node of belt, and down']],
  ['a node without an engine is nobody’s business', view([belt('n', { engine: 'none', dockerId: null })], []), [], []],
];

describe('decide', () => {
  test.each(cases)('%s', (_name, given, actions, warnings) => {
    const decision = decide(given);
    expect(decision.actions).toEqual(actions);
    expect(decision.warnings).toHaveLength(warnings.length);
    warnings.forEach((warning, index) => expect(decision.warnings[index]).toMatch(warning));
  });
});

/** A swarm that carries roles out late: a change of the spec shows in the member list a step afterwards, as swarmkit's role manager does. */
class World {
  beltNodes: BeltNode[];
  docker: EngineNode[];
  agreed = new Map<string, Agreed>();

  constructor(beltNodes: BeltNode[], docker: EngineNode[]) {
    this.beltNodes = beltNodes;
    this.docker = docker;
  }

  settle(): void {
    this.docker = this.docker.map((node) => (
      node.role === 'manager' ? { ...node, reachability: node.reachability ?? 'reachable' } : { ...node, reachability: null }
    ));
    const leader = this.docker.find((node) => node.reachability === 'leader') ?? this.docker.find((node) => node.reachability !== null);
    this.docker = this.docker.map((node) => (node === leader ? { ...node, reachability: 'leader' } : node));
  }

  /** Does all actions; returns how many roles were changed in Docker. */
  act(actions: readonly Action[]): number {
    let roles = 0;
    for (const action of actions) {
      if (action.do === 'engine') {
        if (action.change.role !== undefined) roles += 1;
        if (action.change.role === 'worker') expect(mayDemote(this.docker.find((node) => node.id === action.dockerId)!, this.docker)).toBe(true);
        this.docker = this.docker.map((node) => (node.id === action.dockerId ? { ...node, ...action.change } as EngineNode : node));
      } else if (action.do === 'adopt') {
        const { do: _do, node: id, ...change } = action;
        this.beltNodes = this.beltNodes.map((node) => (node.id === id ? { ...node, ...change } : node));
      } else if (action.do === 'agree') this.agreed.set(action.node, action.agreed);
      else if (action.do === 'forget') this.beltNodes = this.beltNodes.filter((node) => node.id !== action.node);
      else if (action.do === 'drop') this.docker = this.docker.filter((node) => node.id !== action.dockerId);
      else { this.docker = this.docker.filter((node) => node.id !== action.dockerId); this.agreed.delete(action.node); }
    }
    return roles;
  }

  run(): void {
    for (let step = 0; step < 100; step += 1) {
      const { actions } = decide({ nodes: this.beltNodes, docker: this.docker, agreed: this.agreed, abandoned: new Set(), steppingDown: new Set() });
      if (actions.length === 0 && !this.docker.some((node) => (node.role === 'manager') !== (node.reachability !== null))) return;
      expect(this.act(actions)).toBeLessThanOrEqual(1);
      this.settle();
    }
    throw new Error(`it never settles: ${JSON.stringify(decide({ nodes: this.beltNodes, docker: this.docker, agreed: this.agreed, abandoned: new Set(), steppingDown: new Set() }))}`);
  }
}

describe('over time', () => {
  const names = ['m', 'a', 'b', 'c', 'd', 'e'];
  const role = fc.constantFrom<'manager' | 'worker'>('manager', 'worker');
  const labels = fc.dictionary(fc.constantFrom('x', 'y'), fc.constantFrom('1', '2'));
  const availability = fc.constantFrom<'active' | 'pause' | 'drain'>('active', 'pause', 'drain');
  const wishes = fc.array(fc.record({ role, labels, availability }), { minLength: names.length, maxLength: names.length });

  test('whatever belt wants, and whatever is then changed on either side, both sides end up the same', () => {
    fc.assert(fc.property(wishes, wishes, fc.array(fc.constantFrom('belt', 'docker', 'remove', 'none'), { minLength: 5, maxLength: 5 }), (first, second, sides) => {
      const world = new World(
        names.map((name, index) => belt(name, index === 0 ? { role: 'manager' } : first[index])),
        names.map((name, index) => (index === 0 ? manager(name, { reachability: 'leader' }) : engine(name, { availability: 'drain', labels: {} }))),
      );
      world.run();
      expect(world.docker.map((node) => node.role)).toEqual(world.beltNodes.map((node) => node.role));
      const removed = new Set<string>();
      sides.forEach((side, index) => {
        const at = index + 1;
        const wish = second[at]!;
        if (side === 'belt') world.beltNodes = world.beltNodes.map((node) => (node.name === names[at] ? { ...node, ...wish } : node));
        if (side === 'docker') world.docker = world.docker.map((node) => (node.hostname === names[at] ? { ...node, ...wish, labels: { ...wish.labels, ...PLACE } } : node));
        if (side === 'remove') { removed.add(`b-${names[at]}`); world.beltNodes = world.beltNodes.filter((node) => node.name !== names[at]); }
        world.settle();
      });
      world.run();
      const expected = world.beltNodes.map((node) => [node.name, node.role, node.availability, { ...node.labels, ...placeLabels(node) }]);
      expect(world.docker.map((node) => [node.hostname, node.role, node.availability, node.labels])).toEqual(expected);
      expect([...world.agreed.keys()].some((id) => removed.has(id))).toBe(false);
      sides.forEach((side, index) => {
        const node = world.beltNodes.find((one) => one.name === names[index + 1]);
        if (side === 'belt' || side === 'docker') expect(node).toMatchObject(second[index + 1]!);
      });
    }), { numRuns: 300 });
  });
});
