/** What belt says of managers in large swarms. */
import { expect, test } from 'vitest';

import { drainsManagers, processorWarnings } from '../../src/swarm/scale.ts';

test.each<[string, boolean | undefined, number, number, boolean]>([
  ['a hundred workers', undefined, 0, 100, false],
  ['one more than a hundred', undefined, 100, 101, true],
  ['all at once', undefined, 0, 5000, true],
  ['already above: who made them active again keeps that', undefined, 101, 500, false],
  ['asked for', true, 0, 0, true],
  ['asked not to', false, 0, 5000, false],
])('managers are drained: %s', (_name, said, before, after, drains) => {
  expect(drainsManagers(said, before, after)).toBe(drains);
});

const managers = [{ name: 'mg0', cpus: 4 }, { name: 'mg1', cpus: 8 }, { name: 'mg2', cpus: 16 }];
test.each<[number, string[]]>([
  [100, []],
  [101, ['mg0: managers of 101 nodes want 8 vCPUs, and this one has 4']],
  [2000, ['mg0: managers of 2000 nodes want 8 vCPUs, and this one has 4']],
  [2001, ['mg[0:1]: managers of 2001 nodes want 16 vCPUs, and the smallest of these has 4']],
])('processors for %i nodes', (nodes, warnings) => {
  expect(processorWarnings(nodes, managers)).toEqual(warnings);
});
