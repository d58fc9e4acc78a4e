/** Raft's limits from the configuration to the agent, and what goes wrong on a manager's disk from the agent to the operator: by lines as one types them. */
import { globSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { afterAll, expect, it } from 'vitest';

import { CrashSite } from '../crash/crash.ts';

const site = new CrashSite();
afterAll(async () => {
  await site.belt(['cluster', 'rm', 'default', '--yes', '--force']);
  site.remove();
});

it('a limit that is set is in force, and a snapshot that cannot be written is told of', { timeout: 60_000 }, async () => {
  writeFileSync(path.join(site.folder, '.belt.yml'), 'raft: [snapshotEntries=1]\n');
  await site.done('create 512mb mg0');
  await site.done('swarm init mg0');
  // Where a snapshot is written aside stands something that cannot be removed as a file.
  const [log] = globSync(path.join(site.folder, 'm/**/raft/log'));
  mkdirSync(path.join(log!, 'snapshot-saving'));
  await site.done('swarm label mg0 a=b');
  expect((await site.belt(['swarm', 'status'])).stderr).toMatch(/mg0: no snapshot can be written, and the log grows: the disk under \S+ fails: /);
});
