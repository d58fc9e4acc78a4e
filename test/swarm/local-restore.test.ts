/** All managers destroyed, and the swarm gone on from a backup, line by line as one would type it. */
import { afterAll, expect, it } from 'vitest';

import { CrashSite } from '../crash/crash.ts';

const site = new CrashSite();
afterAll(async () => {
  await site.belt(['cluster', 'rm', 'default', '--yes', '--force']);
  site.remove();
});

const belt = (line: string) => site.belt(line.split(' '));
const done = (line: string): Promise<string> => site.done(line);

it('goes on from a backup when no manager is left, and a second time leaves everything alone', { timeout: 120_000 }, async () => {
  await done('create 512mb mg[0:1],node[1:3]');
  expect(await belt('swarm backup')).toMatchObject({ code: 1, stderr: expect.stringContaining('form no swarm yet') as string });
  await done('swarm form 1/1 mg0');
  await done('swarm join mg0 node[1:2]');
  await done('swarm label node1 disk=ssd');
  expect(await done('swarm backup b.json')).toMatch(/\/b\.json\n$/);
  expect(await belt('swarm backup b.json')).toMatchObject({ code: 2, stderr: expect.stringContaining('is there already') as string });
  await done('swarm join mg0 node3');
  expect(await belt('swarm restore --yes b.json mg1')).toMatchObject({ code: 5, stderr: expect.stringContaining('mg0 still manages the swarm and knows more than a backup') as string });

  await done('rm --yes --force mg0');
  expect(await belt('swarm restore --yes b.json node1')).toMatchObject({ code: 5, stderr: expect.stringContaining('node1 is a worker of the swarm') as string });
  expect((await belt('swarm restore b.json mg1')).code).toBe(5);
  const back = ['node1: back as a worker', 'node2: back as a worker'];
  expect((await done('swarm restore --yes b.json mg1')).split('\n').slice(1, -1)).toEqual([...back, 'node3: This node joined a swarm as a worker.']);
  const again = (await done('swarm restore --yes b.json mg1')).split('\n').slice(0, -1);
  expect(again).toEqual(['mg1 has gone on from this backup already', ...back, 'node3: back as a worker']);
  const nodes = JSON.parse(await done('swarm nodes --json')) as { name: string; role: string; status: string; labels: object }[];
  expect(nodes.map(({ name, role, labels }) => [name, role, labels])).toEqual([
    ['mg1', 'manager', {}], ['node1', 'worker', { disk: 'ssd' }], ['node2', 'worker', {}], ['node3', 'worker', {}],
  ]);
});
