import { describe, expect, it } from 'vitest';
import { isBeltError } from '../../src/errors.ts';
import { assignManagers } from '../../src/topology/assign.ts';
import { judgeLoss } from '../../src/topology/quorum-guard.ts';
import { report, tolerance, type Placed } from '../../src/topology/tolerance.ts';
import { dealByLayout, parseTopology, quorumOf, topologyText } from '../../src/topology/topology.ts';

const placed = (layout: readonly number[]): Placed[] => layout.map((managers, n) => ({ datacenter: 'abcdefghi'[n] as string, managers }));

describe('parseTopology', () => {
  it.each([
    ['1/1', [1]], ['3/3', [1, 1, 1]], ['5/3', [2, 2, 1]], ['5(3)', [2, 2, 1]], ['5/4', [2, 1, 1, 1]], ['6/4', [3, 1, 1, 1]], ['6(4)', [3, 1, 1, 1]],
    ['6/3', [2, 2, 2]], ['7/3', [3, 2, 2]], ['7/4', [2, 2, 2, 1]], ['9/3', [3, 3, 3]], ['2+2+1', [2, 2, 1]], ['1+3', [1, 3]], ['5', [5]],
  ])('%s → %j', (text, layout) => {
    expect(parseTopology(text).layout).toEqual(layout);
  });

  it.each([
    ['2/3', '2 managers cannot stand in 3 datacenters'], ['1/2', '1 manager cannot stand in 2 datacenters'], ['0/0', 'at least one manager is needed'],
    ['3/0', 'at least one datacenter is needed'], ['', 'neither'], ['5/', 'neither'], ['/3', 'neither'], ['5-3', 'neither'], ['5(3', 'neither'], ['-5/3', 'neither'],
    ['5.0/3', 'neither'], ['2+0+1', 'every datacenter of a layout needs a manager'], ['2++1', 'neither'], ['999/3', 'more than 99 managers'], ['5/3/1', 'neither'],
  ])('refuses %j: %s', (text, why) => {
    try {
      parseTopology(text);
      expect.unreachable();
    } catch (error) {
      expect(isBeltError(error, 'topology') && error.message).toContain(`bad topology "${text}": `);
      expect((error as Error).message).toContain(why);
    }
  });

  it('says itself again', () => {
    expect(['5/3', '6/4', '2+2+1', '1+3', '3+2+1'].map((t) => topologyText(parseTopology(t)))).toEqual(['5/3', '6/4', '5/3', '1+3', '3+2+1']);
  });

  it('deals machines out by the layout, then around again', () => {
    expect(dealByLayout(parseTopology('6/4'), ['a', 'b', 'c', 'd'], 8).join('')).toBe('aaabcdaa');
  });
});

/** The dumb way: every manager by itself, every way to lose some. */
function bruteForce(placement: readonly Placed[]): { nodes: number; datacenters: string[]; pairs: string[] } {
  const managers = placement.flatMap((p) => Array<string>(p.managers).fill(p.datacenter));
  const alive = (mask: number): number => managers.filter((_, n) => (mask & (1 << n)) === 0).length;
  const majority = (count: number): boolean => count * 2 > managers.length;
  let nodes = 0;
  for (let lost = 1; lost <= managers.length; lost += 1) {
    let always = true;
    for (let mask = 0; mask < 1 << managers.length; mask += 1) if (managers.length - alive(mask) === lost && !majority(alive(mask))) always = false;
    if (always) nodes = lost;
  }
  const without = (...gone: string[]): boolean => majority(managers.filter((d) => !gone.includes(d)).length);
  const names = placement.map((p) => p.datacenter);
  return {
    nodes,
    datacenters: names.filter((d) => without(d)),
    pairs: names.flatMap((a, at) => names.slice(at + 1).filter((b) => without(a, b)).map((b) => a + b)),
  };
}

function layouts(managers: number, datacenters: number): number[][] {
  if (datacenters === 1) return managers >= 1 ? [[managers]] : [];
  return Array.from({ length: managers }, (_, n) => n + 1).flatMap((first) => layouts(managers - first, datacenters - 1).map((rest) => [first, ...rest]));
}

describe('tolerance', () => {
  it('is what trying every loss finds, for every layout of up to 9 managers in up to 5 datacenters', () => {
    let count = 0;
    for (let m = 1; m <= 9; m += 1) {
      for (let d = 1; d <= Math.min(5, m); d += 1) {
        for (const layout of layouts(m, d)) {
          const found = tolerance(placed(layout));
          const expected = bruteForce(placed(layout));
          expect({ nodes: found.nodes, datacenters: found.datacenters, pairs: found.datacenterPairs.map((p) => p.join('')) }, layout.join('+')).toEqual(expected);
          count += 1;
        }
      }
    }
    expect(count).toBeGreaterThan(200);
  });

  it.each([[1, 1], [2, 2], [3, 2], [4, 3], [5, 3], [6, 4], [7, 4]])('%i managers need %i', (managers, quorum) => {
    expect(quorumOf(managers)).toBe(quorum);
  });
});

describe('report', () => {
  it.each([
    ['5/3', []],
    ['3/3', []],
    ['6/4', ['Losing a loses control: it holds 3 of 6 managers, 3 are left and 4 are needed. Its 3 managers cannot commit alone either.', '6 managers are no better than 5: both survive the loss of 2, and 6 must agree by 4.']],
    ['4/3', ['Losing a loses control: it holds 2 of 4 managers, 2 are left and 3 are needed. Its 2 managers cannot commit alone either.', '4 managers are no better than 3: both survive the loss of 1, and 4 must agree by 3.']],
    ['3/2', ['Two datacenters: losing a, the larger, loses control. Three datacenters survive the loss of any one.']],
    ['1+2', ['Two datacenters: losing b, the larger, loses control. Three datacenters survive the loss of any one.']],
    ['4/2', ['Two equal datacenters: losing either one loses control, since 3 of 4 managers are needed and 2 are left.', '4 managers are no better than 3: both survive the loss of 1, and 4 must agree by 3.']],
    ['1/1', ['All managers stand in a: losing it loses control.', 'One manager: its loss is the loss of the cluster (belt swarm rebuild from a backup).']],
    ['2/2', ['Two equal datacenters: losing either one loses control, since 2 of 2 managers are needed and 1 is left.', 'Two managers are worse than one: losing either one loses control.']],
    ['5+1+1', ['Losing a loses control: it holds 5 of 7 managers, 2 are left and 4 are needed.']],
    ['9/3', ['9 managers make every change wait for 5 of them; seven are enough for most swarms.']],
  ])('%s warns %j', (text, expected) => {
    expect(report(placed(parseTopology(text).layout)).warnings).toEqual(expected);
  });

  it('has the fields scripts read', () => {
    expect(report(placed([2, 2, 1]))).toEqual({
      managers: 5, datacenters: ['a', 'b', 'c'], placement: placed([2, 2, 1]), quorum: 3, tolerates: { nodes: 2, datacenters: ['a', 'b', 'c'], datacenterPairs: [] }, warnings: [],
    });
  });
});

describe('assignManagers', () => {
  const machines = (text: string): { name: string; datacenter: string }[] => [...text].map((datacenter, n) => ({ name: `mg${n}`, datacenter }));

  it.each([
    ['5/3', 'abcab', 'mg0 mg3 mg1 mg4 mg2', 'a2 b2 c1'],
    ['5/3', 'abbcc', 'mg1 mg2 mg3 mg4 mg0', 'b2 c2 a1'],
    ['3/3', 'aabbcc', 'mg0 mg2 mg4', 'a1 b1 c1'],
    ['6/4', 'abcdaa', 'mg0 mg4 mg5 mg1 mg2 mg3', 'a3 b1 c1 d1'],
    ['1+2', 'abb', 'mg1 mg2 mg0', 'b2 a1'],
  ])('%s of %s: %s', (topology, given, managers, placement) => {
    const found = assignManagers(parseTopology(topology), machines(given));
    expect(found.managers.map((m) => m.name).join(' ')).toBe(managers);
    expect(found.placement.map((p) => p.datacenter + p.managers).join(' ')).toBe(placement);
    expect(found.left).toHaveLength(given.length - found.managers.length);
  });

  it('finds a place whenever there is one', () => {
    const fits = (layout: number[], rooms: number[]): boolean => {
      if (layout.length === 0) return true;
      return rooms.some((room, at) => room >= (layout[0] as number) && fits(layout.slice(1), rooms.toSpliced(at, 1)));
    };
    for (const layout of [[2, 2, 1], [1, 2, 2], [3, 1, 1, 1], [1, 1, 3]]) {
      for (const rooms of layouts(7, 3).concat(layouts(7, 4))) {
        const given = machines(rooms.map((n, at) => 'abcd'[at]?.repeat(n)).join(''));
        const act = (): unknown => assignManagers({ managers: layout.reduce((sum, n) => sum + n, 0), layout }, given);
        if (fits(layout, rooms)) expect(act).not.toThrow();
        else expect(act).toThrow(/do not fit/);
      }
    }
  });

  it('says what is there and what is needed', () => {
    expect(() => assignManagers(parseTopology('5/3'), machines('aaaab'))).toThrow('the machines do not fit 5/3: needed are 2 + 2 + 1 in 3 datacenters; there are 4 in a, 1 in b');
  });
});

describe('judgeLoss', () => {
  const five = ['mg0', 'mg1', 'mg2', 'mg3', 'mg4'];
  it.each([
    ['a worker does not matter', five, five, ['node1'], 'silence', true, null],
    ['one of five', five, five, ['mg0'], 'silence', true, null],
    ['two of five leave none to spare', five, five, ['mg0', 'mg1'], 'silence', true, 'without mg0, mg1 3 of 5 managers would be reachable, 3 needed: none to spare'],
    ['three of five', five, five, ['mg0', 'mg1', 'mg2'], 'silence', false, 'without mg0, mg1, mg2 2 of 5 managers would be reachable, 3 needed'],
    ['the third when two are down', five, ['mg2', 'mg3', 'mg4'], ['mg2'], 'silence', false, 'without mg2 2 of 5 managers would be reachable, 3 needed'],
    ['one that is down already', five, ['mg2', 'mg3', 'mg4'], ['mg0'], 'silence', true, 'without mg0 3 of 5 managers would be reachable, 3 needed: none to spare'],
    ['a quorum that is gone cannot be lost', five, ['mg3', 'mg4'], ['mg3'], 'silence', true, null],
    ['demoting a dead one of five', five, ['mg1', 'mg2', 'mg3'], ['mg0'], 'removal', true, 'without mg0 3 of 4 managers are reachable, 3 needed: none to spare'],
    ['demoting a live one when two are dead', five, ['mg2', 'mg3', 'mg4'], ['mg2'], 'removal', false, 'without mg2 the cluster has 4 managers, 2 reachable, 3 needed'],
    ['without a quorum nothing is removed', five, ['mg3', 'mg4'], ['mg0'], 'removal', false, '2 of 5 managers reachable, 3 needed: no manager can be removed without a quorum'],
    ['the last manager', ['mg0'], ['mg0'], ['mg0'], 'removal', false, 'mg0 is the last manager: the cluster would end'],
    ['the last manager switched off', ['mg0'], ['mg0'], ['mg0'], 'silence', false, 'without mg0 0 of 1 manager would be reachable, 1 needed'],
    ['three to two', ['a', 'b', 'c'], ['a', 'b', 'c'], ['c'], 'removal', true, 'without c 2 of 2 managers are reachable, 2 needed: none to spare'],
    ['two to one', ['a', 'b'], ['a', 'b'], ['b'], 'removal', true, null],
  ] as const)('%s', (_name, voters, reachable, losing, by, allowed, text) => {
    const verdict = judgeLoss({ voters, reachable, losing, by });
    expect(verdict).toEqual(allowed ? { allowed, warning: text } : { allowed, reason: text });
  });
});
