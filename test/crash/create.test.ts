/**
 * kill -9 of `belt create` and `belt rm` at seeded moments, then the same line again: exactly what was asked, nothing doubled, nothing orphaned.
 * BELT_CRASH_SEEDS (5) is how many moments of each are tried; BELT_CRASH_SEED (1) chooses which.
 */
import { afterAll, describe, expect, it } from 'vitest';

import { CrashSite, deaths } from './crash.ts';

const COUNT = Number(process.env['BELT_CRASH_SEEDS'] ?? 5);
const SEED = Number(process.env['BELT_CRASH_SEED'] ?? 1);
const NAMES = ['node1', 'node2', 'node3', 'node4', 'node5', 'node6'];
const CREATE = ['create', '512mb', 'node[1:6]', '--region', 'a,b'];
const REMOVE = ['rm', '--yes', 'node[1:6]'];

interface Listed {
  readonly name: string;
  readonly id: string;
  readonly status: string;
}

async function listed(site: CrashSite): Promise<Listed[]> {
  const { code, stdout, stderr } = await site.belt(['ls', '--json']);
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout) as Listed[];
}

describe('kill -9', () => {
  const site = new CrashSite();
  afterAll(async () => {
    await site.belt(['cluster', 'rm', 'default', '--yes', '--force']);
    site.remove();
  });

  it(`of create and rm at ${COUNT} moments each (seed ${SEED})`, { timeout: 20_000 + COUNT * 20_000 }, async () => {
    const ofCreate = deaths(SEED, await site.countMoments(CREATE), COUNT);
    const ofRemove = deaths(SEED + 1, await site.countMoments(REMOVE), COUNT);
    await site.belt(['cluster', 'rm', 'default', '--yes']);
    expect(ofCreate.length + ofRemove.length).toBe(2 * COUNT);
    let killed = 0;
    for (const [at, death] of ofCreate.entries()) {
      const where = `create ${JSON.stringify(death)}`;
      if ((await site.die(CREATE, death)).signal === 'SIGKILL') killed += 1;
      const again = await site.belt(CREATE);
      expect([where, again.code, again.stderr.includes('fault')]).toEqual([where, 0, false]);
      const machines = await listed(site);
      expect([where, machines.map(({ name }) => name), machines.map(({ status }) => status)]).toEqual([where, NAMES, NAMES.map(() => 'active')]);
      expect([where, new Set(machines.map(({ id }) => id)).size]).toEqual([where, NAMES.length]);
      expect([where, (await site.belt(['doctor'])).code]).toEqual([where, 0]);

      const removal = ofRemove[at] ?? death;
      const there = `rm ${JSON.stringify(removal)}`;
      if ((await site.die(REMOVE, removal)).signal === 'SIGKILL') killed += 1;
      expect([there, (await site.belt(REMOVE)).code]).toEqual([there, 0]);
      expect([there, await listed(site)]).toEqual([there, []]);
      expect([there, (await site.belt(['doctor'])).code]).toEqual([there, 0]);
      // The next create makes the cluster, too, and may die over it.
      expect([there, (await site.belt(['cluster', 'rm', 'default', '--yes'])).code]).toEqual([there, 0]);
    }
    // Otherwise nothing was tested.
    expect(killed).toBeGreaterThan(COUNT);
  });
});
