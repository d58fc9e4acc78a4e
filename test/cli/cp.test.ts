/** Files to and from a machine of `local`, over real SSH. */
import { readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { CrashSite } from '../crash/crash.ts';

const site = new CrashSite();
const here = (name: string): string => path.join(site.folder, name);
beforeAll(() => site.belt(['create', '512mb', 'node1']));
afterAll(async () => {
  await site.belt(['cluster', 'rm', 'default', '--yes', '--force']);
  site.remove();
});

it('a file that nobody else may read over there is read by nobody else here, and what lies beside it is not written to', async () => {
  writeFileSync(here('victim'), 'precious');
  symlinkSync('victim', here('key.belt-cp'));
  expect((await site.belt(['exec', 'node1', '--', 'umask 077; echo secret >key'])).code).toBe(0);
  expect((await site.belt(['cp', 'node1:key', 'key'])).stdout).toBe('node1: copied\n');
  expect(readFileSync(here('key'), 'utf8')).toBe('secret\n');
  expect(statSync(here('key')).mode & 0o777).toBe(0o600);
  expect(readFileSync(here('victim'), 'utf8')).toBe('precious');
});

it('a name that looks like an option is a name', async () => {
  writeFileSync(here('f'), 'text', { mode: 0o640 });
  expect((await site.belt(['cp', 'f', 'node1:-f'])).code).toBe(0);
  expect((await site.belt(['cp', 'node1:-f', 'g'])).code).toBe(0);
  expect(readFileSync(here('g'), 'utf8')).toBe('text');
  expect(statSync(here('g')).mode & 0o777).toBe(0o640);
});
