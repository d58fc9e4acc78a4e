/** Who tries whom before a join, and how it is told. */
import { describe, expect, test } from 'vitest';

import { findings, partsOf, trialOf, type Place } from '../../src/swarm/preflight.ts';

const places = (count: number, name: string, network: string): Place[] => Array.from({ length: count }, (_, index) => ({ name: `${name}${index}`, host: `${network}${index}` }));
const managers = places(3, 'mg', '10.0.0.');
/** Gives these in turn, then again. */
const drawing = (...numbers: number[]) => {
  let at = 0;
  return (): number => numbers[at++ % numbers.length] ?? 0;
};

describe('preflight', () => {
  test('a joiner tries every manager, and three others of all', () => {
    const members = [...managers, ...places(7, 'node', '10.0.1.')];
    const { managers: asked, peers } = trialOf('node0', managers, members, drawing(0.3, 0, 0.45, 0.45, 0.99));
    expect(asked.map(({ address }) => address)).toEqual(['10.0.0.0:2377', '10.0.0.1:2377', '10.0.0.2:2377']);
    // 0.3 is node0 itself and 0.45 comes twice: neither takes a place.
    expect(peers.map(({ address }) => address)).toEqual(['10.0.0.0:7946', '10.0.1.1:7946', '10.0.1.6:7946']);
  });
  test('where nobody else is, nobody is tried', () => {
    expect(trialOf('mg0', [managers[0]!], [managers[0]!], drawing(0))).toEqual({ managers: [], peers: [] });
  });
  test('managers try the joiners in parts of one call each', () => {
    const parts = partsOf(places(130, 'node', '10.0.1.'));
    expect(parts.map((part) => part.length)).toEqual([64, 64, 2]);
    expect(new Set(parts.flat().map(({ name }) => name)).size).toBe(130);
  });
  test('IPv6 hosts stand in brackets, and both ends are named', () => {
    const [[target]] = partsOf([{ name: 'node1', host: 'fd00::1' }]) as [[{ name: string; address: string }]];
    expect(findings('mg0', [target], { unreached: [{ address: '[fd00::1]:2377', why: 'no answer in 4 s' }] })).toEqual(['mg0 cannot reach node1 at [fd00::1]:2377 (no answer in 4 s)']);
  });
});
