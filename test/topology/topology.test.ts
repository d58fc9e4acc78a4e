import fc from '../property.ts';
import { describe, expect, it } from 'vitest';
import { isBeltError, type BeltError } from '../../src/errors.ts';
import { describePlacement, explainPlacement, explainTopology } from '../../src/topology/explain.ts';
import { formatTopology, parseTopology } from '../../src/topology/parse.ts';
import { assignManagers, dealOut } from '../../src/topology/placement.ts';
import { judgeLoss, lossOrder, quorumOf, toleranceOf, type LossAct } from '../../src/topology/quorum.ts';

function caught(act: () => unknown): BeltError {
  try {
    act();
  } catch (error) {
    if (isBeltError(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

describe('parseTopology', () => {
  it.each([
    ['1/1', '1'], ['3/1', '3'], ['3/3', '1+1+1'], ['5/3', '2+2+1'], ['5(3)', '2+2+1'], ['5/4', '2+1+1+1'], ['7/3', '3+2+2'], ['9/3', '3+3+3'],
    ['6/3', '2+2+2'], ['6/4', '3+1+1+1'], ['6(4)', '3+1+1+1'], ['2+2+1', '2+2+1'], ['2+2+1+1', '2+2+1+1'], ['1+3', '1+3'], ['5/2', '3+2'], [' 5/5 ', '1+1+1+1+1'],
  ])('%s is %s', (spec, layout) => {
    expect(parseTopology(spec).layout.join('+')).toBe(layout);
    expect(parseTopology(spec).managers).toBe(sum(layout.split('+').map(Number)));
  });

  it.each([
    ['', 'it is not a topology'], ['five', 'it is not a topology'], ['5/', 'it is not a topology'], ['/3', 'it is not a topology'], ['5(3', 'it is not a topology'],
    ['5/3)', 'it is not a topology'], ['5(3)x', 'it is not a topology'], ['-5/3', 'it is not a topology'], ['5.0/3', 'it is not a topology'], ['2++1', 'it is not a topology'],
    ['5', 'the number of datacenters is missing'], ['2/3', '2 managers cannot stand in 3 datacenters'], ['1/3', '1 manager cannot stand in 3 datacenters'],
    ['0/0', 'at least one manager is needed'], ['0/3', 'at least one manager is needed'], ['3/0', 'at least one datacenter is needed'],
    ['2+0+1', 'a datacenter of the layout has no manager'], ['100/3', 'more than 99 managers'], ['50+50', 'more than 99 managers'], ['1/9999999', 'it is not a topology'],
  ])('refuses %j: %s', (spec, problem) => {
    const error = caught(() => parseTopology(spec));
    expect([error.code, error.message]).toEqual(['topology', `bad topology "${spec}": ${problem}`]);
    expect(error.next).toBeTruthy();
  });

  it('is written back so that it parses to the same', () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 8 }), (layout) => {
      expect(parseTopology(formatTopology({ managers: sum(layout), layout }))).toEqual({ managers: sum(layout), layout });
    }));
  });
});

/** Every way to lose things, tried one by one: managers are the bits of a number. */
function triedTolerance(layout: readonly number[]) {
  const home = layout.flatMap((count, datacenter) => Array<number>(count).fill(datacenter));
  const bitsOf = (lost: number): number => lost.toString(2).replaceAll('0', '').length;
  const survives = (lost: number): boolean => (home.length - bitsOf(lost)) * 2 > home.length;
  const losses = Array.from({ length: 1 << home.length }, (_, lost) => lost);
  let nodes = 0;
  while (nodes < home.length && losses.filter((lost) => bitsOf(lost) === nodes + 1).every(survives)) nodes += 1;
  const without = (...gone: number[]): number => sum(home.map((datacenter, manager) => (gone.includes(datacenter) ? 1 << manager : 0)));
  const all = layout.map((_, index) => index);
  return {
    nodes,
    datacenters: all.filter((d) => survives(without(d))),
    datacenterPairs: all.flatMap((a) => all.filter((b) => b > a && survives(without(a, b))).map((b) => [a, b])),
  };
}

function layoutsOf(managers: number, datacenters: number): number[][] {
  if (datacenters === 1) return [[managers]];
  return Array.from({ length: managers - datacenters + 1 }, (_, n) => n + 1).flatMap((first) => layoutsOf(managers - first, datacenters - 1).map((rest) => [first, ...rest]));
}

describe('toleranceOf', () => {
  const sizes = Array.from({ length: 9 }, (_, m) => m + 1).flatMap((m) => Array.from({ length: Math.min(5, m) }, (_, d) => [m, d + 1] as const));
  it.each(sizes)('%i managers in %i datacenters: every layout agrees with trying every loss', (managers, datacenters) => {
    for (const layout of layoutsOf(managers, datacenters)) {
      const told = toleranceOf(layout.map((count, index) => ({ datacenter: `dc${index}`, managers: count })));
      const tried = triedTolerance(layout);
      const named = (d: number): string => `dc${d}`;
      expect(told, layout.join('+')).toEqual({ nodes: tried.nodes, datacenters: tried.datacenters.map(named), datacenterPairs: tried.datacenterPairs.map((pair) => pair.map(named)) });
    }
  });

  it.each([[1, 1], [2, 2], [3, 2], [4, 3], [5, 3], [6, 4], [7, 4]])('of %i managers %i are a quorum', (managers, quorum) => {
    expect(quorumOf(managers)).toBe(quorum);
  });
});

describe('explainTopology', () => {
  it('5/3 has nothing to warn of', () => {
    expect(explainTopology(parseTopology('5/3'), ['a', 'b', 'c'])).toEqual({
      managers: 5, datacenters: ['a', 'b', 'c'], quorum: 3,
      placement: [{ datacenter: 'a', managers: 2 }, { datacenter: 'b', managers: 2 }, { datacenter: 'c', managers: 1 }],
      tolerates: { nodes: 2, datacenters: ['a', 'b', 'c'], datacenterPairs: [] }, warnings: [],
    });
    expect(explainTopology(parseTopology('5/4')).tolerates.datacenterPairs).toEqual([['dc2', 'dc3'], ['dc2', 'dc4'], ['dc3', 'dc4']]);
  });

  const even = (managers: number, survived: number, quorum: number): string => `${managers} managers survive no more losses than ${managers - 1}: ${survived} either way, and ${quorum} instead of ${quorum - 1} must agree on every change`;
  it.each([
    ['6/4', [even(6, 2, 4), 'losing dc1 loses control: it holds 3 of 6 managers, and the 3 elsewhere are fewer than the 4 needed']],
    ['4/4', [even(4, 1, 3)]],
    ['4/3', [even(4, 1, 3), 'losing dc1 loses control: it holds 2 of 4 managers, and the 2 elsewhere are fewer than the 3 needed']],
    ['5+1+1', ['losing dc1 loses control: it holds 5 of 7 managers, and the 2 elsewhere are fewer than the 4 needed']],
    ['5/2', ['exactly two datacenters: losing the larger, dc1 (3 of 5 managers), loses control']],
    ['1+2', ['exactly two datacenters: losing the larger, dc2 (2 of 3 managers), loses control']],
    ['6/2', [even(6, 2, 4), 'exactly two datacenters, equally large: losing either dc1 or dc2 loses control; a third one, even with a single manager, mends that']],
    ['2/1', ['two managers are worse than one: both are needed, so losing either loses control', 'all managers stand in dc1: losing it loses control']],
    ['3/1', ['all managers stand in dc1: losing it loses control']],
    ['1/1', ['one manager: when it is lost, control is lost; three are the least that survive a loss']],
    ['9/3', ['more than 7 managers slow the swarm down: 5 of 9 must agree on every change']],
  ])('%s warns', (spec, warnings) => {
    expect(explainTopology(parseTopology(spec)).warnings).toEqual(warnings);
  });

  it('a third datacenter with one manager mends two equal ones, as the warning says', () => {
    for (const half of [1, 2, 3, 4]) expect(explainTopology({ managers: 2 * half + 1, layout: [half, half, 1] }).tolerates.datacenters).toEqual(['dc1', 'dc2', 'dc3']);
  });

  it('leaves out datacenters without a manager', () => {
    const placement = [{ datacenter: 'a', managers: 0 }, { datacenter: 'b', managers: 3 }];
    expect(explainPlacement(placement).datacenters).toEqual(['b']);
    expect(describePlacement(placement)).toBe('3/1');
    expect(explainPlacement([]).warnings).toEqual(['there is no manager']);
  });

  it.each([
    [['a', 'b'], '5/3 spreads over 3 datacenters, 2 given'],
    [['a', 'b', 'c', 'd'], '5/3 spreads over 3 datacenters, 4 given'],
    [['a', 'b', 'a'], 'datacenter a is named twice'],
  ])('refuses datacenters %j', (datacenters, message) => {
    const error = caught(() => explainTopology(parseTopology('5/3'), datacenters));
    expect([error.code, error.message]).toEqual(['topology', message]);
  });
});

const standing = (datacenters: readonly string[]) => datacenters.map((datacenter, index) => ({ name: `m${index}`, datacenter }));
const assigned = (there: string, spec: string): string =>
  assignManagers(parseTopology(spec), standing(there.split(' '))).map((part) => `${part.datacenter}:${part.machines.map(({ name }) => name).join(',')}`).join(' ');

describe('assignManagers', () => {
  it.each([
    ['a a b b c', '5/3', 'a:m0,m1 b:m2,m3 c:m4'],
    ['a b c a b', '5/3', 'a:m0,m3 b:m1,m4 c:m2'],
    ['a b b c c', '5/3', 'b:m1,m2 c:m3,m4 a:m0'],
    ['c a a b b', '5/3', 'a:m1,m2 b:m3,m4 c:m0'],
    ['a a b', '1+2', 'b:m2 a:m0,m1'],
    ['a b c d b b', '6/4', 'b:m1,m4,m5 a:m0 c:m2 d:m3'],
    ['a a a b b c c', '3/3', 'a:m0 b:m3 c:m5'],
    ['a a a', '3/1', 'a:m0,m1,m2'],
  ])('%s for %s: %s', (there, spec, expected) => {
    expect(assigned(there, spec)).toBe(expected);
  });

  it.each([
    ['a a a b b', '5/3', '5/3 needs 2+2+1 machines in 3 datacenters; there are 3 in a, 2 in b', 'add machines where they are missing, or form the one that fits: 5/2'],
    ['a a a b c', '5/3', '5/3 needs 2+2+1 machines in 3 datacenters; there are 3 in a, 1 in b, 1 in c', 'add machines where they are missing, or form the one that fits: 3+1+1'],
    ['a b', '3/3', '3/3 needs 1+1+1 machines in 3 datacenters; there are 1 in a, 1 in b', '1 more machine is needed: belt create SIZE RANGE --region …'],
  ])('%s does not fit %s', (there, spec, message, next) => {
    const error = caught(() => assigned(there, spec));
    expect([error.code, error.message, error.next]).toEqual(['does_not_fit', message, next]);
  });

  it('fits exactly when some matching of parts and datacenters does (all tried), takes nobody twice, and what it offers instead fits', () => {
    const permutations = (items: readonly string[]): string[][] => (items.length === 0 ? [[]] : items.flatMap((item, index) => permutations(items.toSpliced(index, 1)).map((rest) => [item, ...rest])));
    fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 }), fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1, maxLength: 10 }), (layout, there) => {
      const topology = { managers: sum(layout), layout };
      const count = (datacenter: string | undefined): number => there.filter((one) => one === datacenter).length;
      const possible = permutations([...new Set(there)]).some((order) => layout.every((needed, index) => count(order[index]) >= needed));
      if (!possible) {
        const error = caught(() => assignManagers(topology, standing(there)));
        expect(error.code).toBe('does_not_fit');
        const offered = /fits: (.*)$/.exec(error.next ?? '')?.[1];
        if (offered !== undefined) expect(sum(assignManagers(parseTopology(offered), standing(there)).map((part) => part.machines.length))).toBe(sum(layout));
        else expect(there.length).toBeLessThan(sum(layout));
        return;
      }
      const parts = assignManagers(topology, standing(there));
      expect(parts.map((part) => part.machines.length)).toEqual(layout);
      expect(new Set(parts.map((part) => part.datacenter)).size).toBe(layout.length);
      expect(new Set(parts.flatMap((part) => part.machines.map(({ name }) => name))).size).toBe(topology.managers);
      expect(parts.every((part) => part.machines.every(({ datacenter }) => datacenter === part.datacenter))).toBe(true);
    }));
  });
});

describe('dealOut', () => {
  it('deals in turn, and passes over what is full', () => {
    expect(dealOut(5, ['a', 'b', 'c']).join('')).toBe('abcab');
    expect(dealOut(6, ['a', 'b', 'c', 'd'], parseTopology('6/4')).join('')).toBe('abcdaa');
    expect(caught(() => dealOut(5, ['a', 'b', 'c', 'd'], parseTopology('6/4'))).message).toBe('6/4 places 6 machines, the range names 5');
  });
});

describe('judgeLoss', () => {
  const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `mg${index}`);
  /** The first `alive` of `all` managers answer. */
  const judge = (act: LossAct, all: number, alive: number, losing: string): string => {
    const verdict = judgeLoss({ act, voters: names(all), reachable: names(alive), losing: losing.split(' ') });
    return verdict.allowed ? 'allowed' : verdict.reason;
  };

  it.each<[LossAct, number, number, string, string]>([
    ['stop', 5, 5, 'mg0', 'allowed'],
    ['stop', 5, 5, 'mg0 mg1', 'allowed'],
    ['stop', 5, 5, 'mg0 mg1 mg2', 'stopping mg0, mg1, mg2 leaves 2 of 5 managers reachable, 3 needed'],
    ['kill', 5, 3, 'mg1', 'killing mg1 leaves 2 of 5 managers reachable, 3 needed'],
    ['kill', 5, 3, 'mg4', 'allowed'],
    ['kill', 5, 2, 'mg0', 'killing mg0 leaves 1 of 5 managers reachable, 3 needed'],
    ['stop', 5, 3, 'node1 node2', 'allowed'],
    ['stop', 1, 1, 'mg0', 'stopping mg0 leaves 0 of 1 managers reachable, 1 needed'],
    ['destroy', 5, 3, 'mg4', 'allowed'],
    ['destroy', 5, 2, 'mg4', '2 of 5 managers reachable, 3 needed, and destroying mg4 ends the hope that it comes back'],
    ['destroy', 3, 3, 'mg0 mg1', 'destroying mg0, mg1 leaves 1 of 3 managers reachable, 2 needed'],
    ['leave', 5, 5, 'mg1', 'allowed'],
    ['leave', 5, 3, 'mg1', 'removing mg1 leaves 2 reachable of 4 managers, 3 needed'],
    ['leave', 5, 3, 'mg4', 'allowed'],
    ['leave', 5, 3, 'mg3 mg4 mg1', 'allowed'],
    ['leave', 5, 2, 'mg4', '2 of 5 managers reachable, 3 needed'],
    ['demote', 2, 2, 'mg0', 'allowed'],
    ['demote', 2, 1, 'mg1', '1 of 2 managers reachable, 2 needed'],
    ['demote', 1, 1, 'mg0', 'demoting mg0 leaves no manager'],
    ['demote', 7, 4, 'mg0 mg1 mg2 mg3 mg4', 'demoting mg0, mg1, mg2 and 2 more leaves 0 reachable of 2 managers, 2 needed'],
  ])('%s with %i managers, %i reachable, losing %s: %s', (act, all, alive, losing, expected) => {
    expect(judge(act, all, alive, losing)).toBe(expected);
  });

  it('allows a removal exactly when some order of single removals keeps a majority after each (all tried)', () => {
    const orders = (items: readonly string[]): string[][] => (items.length === 0 ? [[]] : items.flatMap((item, index) => orders(items.toSpliced(index, 1)).map((rest) => [item, ...rest])));
    const keeps = (order: readonly string[], voters: readonly string[], alive: readonly string[]): boolean => {
      const members = new Set(voters);
      const majority = (): boolean => alive.filter((name) => members.has(name)).length * 2 > members.size;
      return majority() && order.every((name) => members.delete(name) && majority());
    };
    for (let all = 1; all <= 6; all += 1) {
      for (let lost = 1; lost < 1 << all; lost += 1) {
        const losing = names(all).filter((_, index) => (lost & (1 << index)) !== 0);
        if (losing.length > 4) continue;
        for (let alive = 0; alive <= all; alive += 1) {
          const possible = orders(losing).some((order) => keeps(order, names(all), names(alive)));
          expect(judge('leave', all, alive, losing.join(' ')) === 'allowed', `${all} managers, ${alive} alive, losing ${losing.join(' ')}`).toBe(possible);
          // The order in which they are made to go is one of those.
          if (possible) expect(keeps(lossOrder({ voters: names(all), reachable: names(alive), losing }), names(all), names(alive))).toBe(true);
        }
      }
    }
  });
});
