/** Exit status 4 as a user meets it: the leader dies between writing a change down and saying so, and a wait ends before what it waits for. */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';

import { CrashSite, type Ended } from '../crash/crash.ts';

const DIE_AFTER_APPEND = fileURLToPath(new URL('./die-after-append.ts', import.meta.url));
const site = new CrashSite();
afterAll(async () => {
  await site.belt(['cluster', 'rm', 'default', '--yes', '--force']);
  site.remove();
});

const belt = (line: string): Promise<Ended> => site.belt(line.split(' '));
const done = (line: string): Promise<string> => site.done(line);
/** Asks until it is so; the test's time is the deadline. */
async function until(line: string, wanted: (ended: Ended) => boolean): Promise<void> {
  while (!wanted(await belt(line)));
}
async function restart(machine: string): Promise<void> {
  await done(`kill --force ${machine}`);
  await done(`start ${machine}`);
  await until('swarm nodes', ({ code }) => code === 0);
}

it('a wait that is not over in its time', { timeout: 120_000 }, async () => {
  await done('create 512mb mg0');
  expect(await belt('status --wait active=2 --timeout 1s')).toMatchObject({ code: 4, stderr: expect.stringContaining('not active=2 after 1s') as string });
});

it('a write whose leader died before it answered: unknown, and the same line again makes it known', { timeout: 120_000 }, async () => {
  await done('swarm init mg0');
  const [start = ''] = globSync(path.join(site.folder, 'm/machines/*/**/etc/belt/start'));
  const sound = readFileSync(start, 'utf8');
  writeFileSync(start, sound.replace(/^exec /m, `export BELT_DIE_AFTER=lost-answer NODE_OPTIONS=--import=${DIE_AFTER_APPEND}\nexec `));
  await restart('mg0');

  const lost = await belt('swarm label mg0 fate=lost-answer');
  expect([lost.code, lost.stdout]).toEqual([4, '']);
  expect(lost.stderr).toMatch(/may or may not have happened/);

  writeFileSync(start, sound);
  await restart('mg0');
  // One voter, and it had the entry on its disk: here the change had happened.
  expect(JSON.parse(await done('swarm nodes --json'))).toMatchObject([{ name: 'mg0', labels: { fate: 'lost-answer' } }]);
  await done('swarm label mg0 fate=lost-answer');
});
