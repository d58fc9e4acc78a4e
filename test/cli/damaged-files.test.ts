/** A damaged, half-written or newer file under `.belt/` is refused by name, before anything is dialed, and never taken for a swarm that is gone. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

import { stage, type Stage } from './line.ts';

const SWARM = ['swarm', 'nodes'];
const BOOTSTRAP = ['bootstrap', 'node1'];
const DAMAGE: Record<string, (text: string) => string> = { empty: () => '', 'half written': (text) => text.slice(0, text.length / 2), garbage: () => '\0\0garbage' };

const files: [file: string, lines: string[][], says: RegExp][] = [
  ['ca.crt', [SWARM, BOOTSTRAP], /ca\.crt is damaged: it is not the certificate of a CA\nnext: copy it from a machine of the cluster/],
  ['ca.key', [BOOTSTRAP], /ca\.key is damaged, or not the key of .*ca\.crt\nnext: belt certs rotate/],
  ['operator.crt', [SWARM], /operator\.crt and .*operator\.key are damaged, or do not belong together\nnext: belt certs operator makes another pair/],
  ['operator.key', [SWARM], /operator\.crt and .*operator\.key are damaged, or do not belong together\nnext: belt certs operator makes another pair/],
  ['ssh_key', [BOOTSTRAP, ['ssh', 'node1', 'true']], /ssh_key is no private key\nnext: put back a copy/],
  ['agents.json', [SWARM, ['swarm', 'form', '1/1', 'node1'], ['kill', 'node1']], /agents\.json is damaged; it says where the managers are\nnext: rm /],
];

/** A cluster of one machine, with a book of agents. */
async function made(): Promise<Stage> {
  const on = stage();
  expect((await on.belt('create', '512mb', 'node1')).exit).toBe(0);
  const folder = path.join(on.folder, '.belt', 'default');
  if (!existsSync(path.join(folder, 'agents.json'))) writeFileSync(path.join(folder, 'agents.json'), '{"version":1,"managers":[],"leader":null,"keys":{},"expires":{}}\n');
  return on;
}

describe.each(files)('%s', (file, lines, says) => {
  it.each(Object.entries(DAMAGE))('%s', async (_how, damage) => {
    using on = await made();
    const at = path.join(on.folder, '.belt', 'default', file);
    const bad = damage(readFileSync(at, 'utf8'));
    writeFileSync(at, bad);
    for (const line of lines) {
      const { exit, stderr } = await on.belt(...line);
      expect([line.join(' '), exit, stderr]).toEqual([line.join(' '), 1, expect.stringMatching(says) as string]);
      expect(readFileSync(at, 'utf8')).toBe(bad);
    }
  });
});

it('agents.json of a newer belt is left alone', async () => {
  using on = await made();
  writeFileSync(path.join(on.folder, '.belt', 'default', 'agents.json'), '{"version":2,"managers":[]}\n');
  expect(await on.belt(...SWARM)).toMatchObject({ exit: 1, stderr: expect.stringMatching(/agents\.json was written by a newer belt\nnext: use that belt/) as string });
});

it('an operator’s pair that is damaged is made anew by belt certs operator', async () => {
  using on = await made();
  const folder = path.join(on.folder, '.belt', 'default');
  writeFileSync(path.join(folder, 'operator.crt'), '');
  expect((await on.belt('certs', 'operator')).exit).toBe(0);
  expect((await on.belt(...SWARM)).stderr).toMatch(/form no swarm yet/);
});
