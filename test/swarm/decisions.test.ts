/** What the operations on a swarm decide, without an agent. */
import { describe, expect, test } from 'vitest';

import type { Machine } from '../../src/provision/driver.ts';
import { planForm } from '../../src/swarm/form.ts';
import { planRebuild } from '../../src/swarm/rebuild.ts';
import { parseLabels } from '../../src/swarm/roles.ts';
import { compareViews, hasQuorum, judgeSurvey, quorumError, type Answer, type RaftView, type Survey } from '../../src/swarm/survey.ts';
import { parseTopology } from '../../src/topology/parse.ts';

const id = (name: string): string => name.padEnd(32, '0');
const NAMES = ['mg0', 'mg1', 'mg2', 'mg3', 'mg4'];
const members = (names: readonly string[]): RaftView['members'] => names.map((name) => ({ id: id(name), name, address: `${name}:2378`, voter: true, datacenter: '' }));

function view(more: Partial<RaftView> = {}): RaftView {
  return { state: 'follower', epoch: 0, term: 3, leader: null, commitIndex: 10, appliedIndex: 10, lastIndex: 10, lastTerm: 3, logBytes: null, snapshotIndex: 0, snapshotAgeMs: null, members: members(NAMES), ...more };
}
function answer(machine: string, raft: RaftView | null, more: Partial<NonNullable<Answer['health']>> = {}): Answer {
  return { machine, health: { machine, nodeId: id(machine), role: raft === null ? 'worker' : 'manager', raft, session: null, epoch: raft?.epoch ?? 0, certificateExpires: '', state: null, problems: [], ...more } };
}
const silent = (machine: string): Answer => ({ machine, health: null });
const told = (act: () => unknown): string => {
  try {
    return String(act());
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message}`;
  }
};

describe('a survey', () => {
  test('counts those that answer and belong to the latest group', () => {
    const old = view({ epoch: 0, state: 'leader', term: 9 });
    const now = view({ epoch: 1, term: 4, members: members(['mg3', 'mg4']) });
    const survey = judgeSurvey([answer('mg0', old), answer('mg3', { ...now, state: 'leader' }), answer('mg4', now)], []);
    expect(survey).toMatchObject({ reachable: ['mg3', 'mg4'], leader: 'mg3', epoch: 1 });
    expect(hasQuorum(survey)).toBe(true);
  });
  test('two of five are no quorum, and the words are the same everywhere', () => {
    const survey = judgeSurvey([answer('mg0', view()), answer('mg1', view()), silent('mg2'), silent('mg3'), silent('mg4')], []);
    expect(hasQuorum(survey)).toBe(false);
    expect(quorumError(survey)).toMatchObject({ code: 'no_quorum', message: '2 of 5 managers reachable, 3 needed', next: "start what is off (belt start 'mg[2:4]'), or when it is gone for good: belt swarm rebuild" });
  });
  test('where nobody answers, those remembered are all that is known', () => {
    const known = [{ name: 'mg0', id: id('mg0'), address: 'a:1' }];
    expect(judgeSurvey([silent('mg0')], known)).toMatchObject({ voters: [{ name: 'mg0' }], reachable: [], leader: null });
  });
  test.each([
    ['epoch first', { epoch: 1, term: 1 }, { epoch: 0, term: 9, commitIndex: 99 }],
    ['then the term of the last entry', { lastTerm: 4, commitIndex: 1 }, { lastTerm: 3, lastIndex: 99, commitIndex: 99 }],
    ['then the length of the log', { lastIndex: 11 }, { commitIndex: 11 }],
    ['then what is known to be committed', { commitIndex: 11 }, {}],
    // It voted for a leader of term 4 who died before it sent anything: ten acknowledged entries are in the other's log alone.
    ['not the term a member is in', { term: 3, lastIndex: 20, commitIndex: 20 }, { term: 4, lastIndex: 10 }],
  ])('knows more: %s', (_name, more, less) => {
    expect(compareViews(view(more), view(less))).toBeGreaterThan(0);
    expect(compareViews(view(less), view(more))).toBeLessThan(0);
  });
});

describe('rebuild', () => {
  const lost = [silent('mg0'), silent('mg1'), silent('mg2'), answer('mg3', view({ commitIndex: 11 })), answer('mg4', view({ commitIndex: 12, lastIndex: 13 })), answer('node1', null, { session: { manager: id('mg0'), sinceMs: 1 } })];
  const plan = (answers: readonly Answer[], more: Partial<Parameters<typeof planRebuild>[0]> = {}) =>
    planRebuild({ answers, survey: judgeSurvey(answers, []), machines: new Set(['mg3', 'mg4', 'node1']), from: null, force: false, replacements: [], ...more });

  test('goes on from the one that knows most, and takes everybody with it', () => {
    const made = plan(lost);
    expect({ survivor: made.survivor.machine, reform: made.reform, rejoin: made.rejoin, gone: made.gone }).toEqual({ survivor: 'mg4', reform: true, rejoin: ['mg3', 'node1'], gone: ['mg0', 'mg1', 'mg2'] });
  });
  test('names the managers that may come back and know nothing of it', () => {
    expect(plan(lost, { machines: new Set([...NAMES, 'node1']) })).toMatchObject({ gone: [], absent: ['mg0', 'mg1', 'mg2'] });
  });
  test('goes on from the one named', () => {
    expect(plan(lost, { from: 'mg3' }).survivor.machine).toBe('mg3');
  });
  test('a second run finds the swarm led and brings in only what is missing', () => {
    const led = view({ epoch: 1, state: 'leader', members: members(['mg4']) });
    const made = plan([answer('mg4', led), answer('mg3', view({ epoch: 0 })), answer('node1', null, { session: { manager: id('mg4'), sinceMs: 1 } }), answer('node2', null), answer('spare', null, { role: 'machine' })]);
    expect({ survivor: made.survivor.machine, reform: made.reform, rejoin: made.rejoin }).toEqual({ survivor: 'mg4', reform: false, rejoin: ['mg3', 'node2'] });
  });
  test('makes an epoch past every one that a node has heard of: managers that nobody reaches may be of it', () => {
    expect(plan(lost).epoch).toBe(1);
    expect(plan([...lost.slice(0, 4), answer('mg4', view(), { epoch: 1 }), answer('node1', null, { epoch: 3 })]).epoch).toBe(4);
    expect(plan([...lost.slice(0, 5), answer('node1', null, { epoch: 2 ** 40 })]).epoch).toBe(1);
  });
  test('reforms managers that agree on no leader where that is forced', () => {
    expect(plan(NAMES.map((name) => answer(name, view())), { force: true })).toMatchObject({ reform: true });
  });
  const alive = NAMES.map((name) => answer(name, view({ state: name === 'mg0' ? 'leader' : 'follower' })));
  test.each<[string, readonly Answer[], Partial<Parameters<typeof planRebuild>[0]>, string]>([
    ['from one while there is a quorum', alive, { from: 'mg2' }, 'refused: 5 of 5 managers reachable, 3 needed: the swarm has its quorum, and reforming it from mg2 would drop the others'],
    ['while there is a quorum and only no leader yet', NAMES.slice(1).map((name) => answer(name, view())), {}, 'refused: 4 of 5 managers reachable, 3 needed: the managers have their quorum and are choosing a leader'],
    ['from one that does not answer', lost, { from: 'mg0' }, 'refused: mg0 is no manager that answers'],
    ['with workers as replacements', [...lost, answer('node2', null), answer('spare', null, { role: 'machine' })], { replacements: ['node1', 'spare', 'mg3', 'node2'] }, 'refused: node[1:2] are in the swarm already, as workers'],
    ['with no manager left', [silent('mg0'), answer('node1', null)], {}, 'failed: no manager of the swarm answers, so nothing is left to rebuild from'],
  ])('is refused %s', (_name, answers, more, message) => {
    expect(told(() => plan(answers, more))).toBe(message);
  });
});

describe('form', () => {
  const machine = (name: string, region: string): Machine => ({ name, driver: 'local', id: name, status: 'active', publicIpv4: null, privateIpv4: null, sshPort: 22, sshUser: 'x', memoryMb: null, region, datacenter: `local:${region}`, image: null, size: 's', createdAt: null, tags: {} });
  const five = NAMES.map((name, at) => machine(name, 'abc'[at % 3] as string));
  const none: Survey = { voters: [], reachable: [], leader: null, epoch: 0, wrong: [] };
  const there = (...names: string[]): Survey => ({ voters: members(names), reachable: names, leader: names[0] ?? null, epoch: 0, wrong: [] });

  test('takes the machines by their datacenters, in the order they are named', () => {
    const plan = planForm(parseTopology('5/3'), five, none);
    expect({ managers: plan.managers.map(({ name }) => name), first: plan.first.name, begun: plan.begun, left: plan.left.length }).toEqual({ managers: NAMES, first: 'mg0', begun: false, left: 0 });
  });
  test('leaves what the layout has no place for', () => {
    expect(planForm(parseTopology('3/3'), five, none).left.map(({ name }) => name)).toEqual(['mg3', 'mg4']);
  });
  test('goes on with a swarm that a run before has begun, whoever leads it', () => {
    const plan = planForm(parseTopology('3/3'), five, there('mg3', 'mg1'));
    expect({ managers: plan.managers.map(({ name }) => name), first: plan.first.name, begun: plan.begun }).toEqual({ managers: ['mg1', 'mg2', 'mg3'], first: 'mg3', begun: true });
  });
  test.each<[string, Survey, RegExp]>([
    ['5/3', there('other'), /^refused: the swarm has managers already that are not among these: other$/],
    ['7/3', none, /^does_not_fit: 7\/3 needs 3\+2\+2 machines in 3 datacenters; there are 2 in local:a, 2 in local:b, 1 in local:c$/],
  ])('%s is refused', (spec, survey, message) => {
    expect(told(() => planForm(parseTopology(spec), five, survey))).toMatch(message);
  });
});

test.each<[string[], unknown]>([
  [['a=b', 'c='], { set: { a: 'b', c: '' }, unset: [] }],
  [['x/y.z=1', 'old-'], { set: { 'x/y.z': '1' }, unset: ['old'] }],
  [['a=b=c'], { set: { a: 'b=c' }, unset: [] }],
  [['plain'], "usage: 'plain' is no label"],
  [['=x'], "usage: '=x' is no label"],
  [['a=1', 'a-'], 'usage: label a is set and removed in one line'],
])('labels %j', (words, result) => {
  if (typeof result === 'string') expect(told(() => parseLabels(words))).toBe(result);
  else expect(parseLabels(words)).toEqual(result);
});
