/** `belt doctor` on DigitalOcean's fake: what nobody knows, what is gone, what is there twice; and hosts that exist already, from the list to the end. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { contractFound } from '../fakes/digitalocean/contract.ts';
import { startDigitalOcean, type DigitalOceanFake } from '../fakes/digitalocean/service.ts';
import { startHosts } from '../fakes/hosts.ts';
import { digitalOceanLine } from './cloud-lines.ts';
import { commandLine, rows, type CommandLine, type Ran } from './command-line.ts';

describe.skipIf(!contractFound && process.env['CI'] !== 'true')('belt doctor (needs ../shared/reference/digitalocean-openapi.json)', () => {
  let fake: DigitalOceanFake;
  let line: CommandLine;
  const belt = (words: string): Promise<Ran> => line.belt(...words.split(' '));
  beforeAll(async () => {
    fake = await startDigitalOcean({ token: 'right', bootMs: 100 });
    line = digitalOceanLine(fake);
    expect((await belt('create 1gb node[1:3]')).exit).toBe(0);
  }, 60_000);
  afterAll(async () => {
    line.remove();
    await fake.close();
  });

  it('finds each, offers a way out, and mends', async () => {
    const [one, two] = [...fake.account.droplets.values()];
    if (one === undefined || two === undefined) throw new Error('no droplets');
    fake.account.droplets.set(99, { ...one, id: 99 });
    fake.account.droplets.set(98, { ...one, id: 98, name: 'stray' });
    fake.account.droplets.delete(two.id);
    const found = await belt('doctor');
    expect([found.exit, rows(found.stdout).slice(1).map((row) => row.slice(0, 2)).sort()]).toEqual([1, [['doubled name', one.name], ['missing machine', two.name], ['unknown machine', 'stray']]]);
    expect((await belt('doctor --remove')).exit).toBe(5);
    expect((await belt('doctor --remove --yes')).exit).toBe(0);
    expect([[...fake.account.droplets.keys()].sort(), Object.keys(line.state('default').machines).length]).toEqual([[one.id, one.id + 2].sort(), 2]);
    expect((await belt('doctor')).stdout).toContain('nothing amiss');
  }, 60_000);

  it('takes the machines in again after the state was lost', async () => {
    rmSync(path.join(line.folder, '.belt/default/state.json'));
    expect((await belt('cluster new default')).exit).toBe(0);
    expect(rows((await belt('doctor')).stdout).slice(1).map((row) => row[0])).toEqual(['unknown machine', 'unknown machine']);
    expect((await belt('doctor --adopt')).exit).toBe(0);
    expect(Object.keys(line.state('default').machines)).toHaveLength(2);
    expect((await belt('rm node[1:3] --yes')).exit).toBe(0);
    expect(fake.account.droplets.size).toBe(0);
  }, 60_000);
});

it('hosts that exist already: adopted by name and by turn, down ones named, forgotten and never touched', async () => {
  const hosts = await startHosts(4, '91.9');
  const at = (n: number): string => `${hosts.addresses[n]}`;
  const line = commandLine(`driver: generic\ngeneric:\n  timeout: 2\n  hosts:\n    - {name: mg0, address: ${at(0)}, port: ${hosts.port}, region: rack1, memory_mb: 4096}\n    - ${at(1)}:${hosts.port}\n    - ${at(2)}:${hosts.port}\n`);
  const belt = (words: string): Promise<Ran> => line.belt(...words.split(' '));
  try {
    await hosts.down(at(2));
    const created = await belt('create any mg0 node[1:2]');
    expect(created.exit).toBe(3);
    expect(rows(created.stdout).slice(1).map((row) => [row[0]?.replace(/\d$/, ''), row[2], row[3], row.at(-1)])).toEqual([['mg', '4096', 'rack1', 'active'], ['node', '-', 'generic', 'active']]);
    expect(created.stderr).toContain(`${at(2)}:${hosts.port} refuses the connection`);
    await hosts.down(at(0));
    const stopped = await belt('stop mg0');
    expect([stopped.exit, stopped.stderr]).toEqual([1, expect.stringContaining('belt cannot stop a host that it did not make')]);
    expect((await belt('status')).stdout).toMatch(/^off +1 +mg0$/m);
    const held = await belt('rm mg0');
    expect([held.exit, held.stderr]).toEqual([5, expect.stringContaining('Forget machine mg0, which goes on running, of cluster default?')]);
    const off = await belt('ssh mg0 true');
    expect([off.exit, off.stderr]).toEqual([255, expect.stringMatching(/^belt: mg0 is off.*\nnext: switch mg0 on by hand\n$/s)]);
    expect((await belt('rm mg0 --yes')).stdout).toBe('mg0: forgotten; the host goes on running\n');
    expect(rows((await belt('ls')).stdout)).toHaveLength(2);
    rmSync(path.join(line.folder, '.belt/default/state.json'));
    expect((await belt('cluster new default')).exit).toBe(0);
    const stranger = await belt('doctor --remove');
    expect([stranger.exit, stranger.stderr]).toEqual([5, expect.stringContaining('Forget 1 host that nobody knows?')]);
  } finally {
    line.remove();
    await hosts.close();
  }
}, 60_000);
