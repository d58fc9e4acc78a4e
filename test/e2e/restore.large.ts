/** Every manager is destroyed: the swarm goes on from a backup, on machines with real engines. Services were Docker's and are gone; nodes and labels are back. */
import { afterAll, describe, expect, test } from 'vitest';

import { asOneSession } from './one-session.ts';
import { Session } from './session.ts';
import { skipReason } from './stage.ts';

const MINUTES = 60_000;

describe.skipIf(skipReason !== null)('a swarm without a manager', { timeout: 15 * MINUTES }, () => {
  const session = new Session('restore');
  const belt = session.belt.bind(session);
  asOneSession();
  afterAll(() => session.close(), 2 * MINUTES);

  test('is formed, backed up, and loses all managers', async () => {
    await belt('cluster new --driver docker restore');
    await belt("create 1gb 'mg[0:2]' --region a,b,c");
    await belt("create 512mb 'node[1:3]' --region a,b,c");
    await belt('swarm init mg0');
    await belt("swarm join mg0 'node[1:2]'");
    await belt('swarm label node1 disk=ssd');
    await belt('swarm backup b.json');
    await belt('swarm join mg0 node3');
    await session.shown('mg0', 1, 4);
    await belt('rm --yes --force mg0');
  });

  test('goes on from the backup: other managers, the same workers with their labels, engines in one swarm', async () => {
    await session.timed('restore', () => belt("swarm restore --yes b.json 'mg[1:2]'"));
    await session.timed('Docker', () => session.shown('mg1', 2, 5));
    const labels = (await session.docker('mg1', "node inspect --format '{{.Description.Hostname}} {{.Spec.Labels}}' node1 node3")).trim().split('\n');
    expect(labels).toEqual([expect.stringMatching(/^node1 .*belt.datacenter:docker:a.*disk:ssd/), expect.stringMatching(/^node3 .*belt.datacenter:docker:c/)]);
    const rows = await session.nodes();
    expect(rows.map(({ name, role, status }) => [name, role, status]).sort()).toEqual([
      ['mg1', 'manager', 'ready'], ['mg2', 'manager', 'ready'], ['node1', 'worker', 'ready'], ['node2', 'worker', 'ready'], ['node3', 'worker', 'ready'],
    ]);
    await belt("swarm restore --yes b.json 'mg[1:2]'");
    expect((await session.tried('swarm status')).stderr).not.toMatch(/engine|Docker|in the swarm/);
  });
});
