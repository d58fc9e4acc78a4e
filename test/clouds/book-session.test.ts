/** What a user types, on a DigitalOcean that checks every call: the lines of the book that make and keep machines, in their order. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { contractFound } from '../fakes/digitalocean/contract.ts';
import { startDigitalOcean, type DigitalOceanFake } from '../fakes/digitalocean/service.ts';
import { commandLine, rows, type CommandLine, type Ran } from './command-line.ts';
import { sdksLoaded } from './loaded.ts';

const HEADINGS = ['NAME', 'IPv4', 'MEMORY', 'REGION', 'IMAGE', 'STATUS'];

describe.skipIf(!contractFound && process.env['CI'] !== 'true')('the book’s session (needs ../shared/reference/digitalocean-openapi.json)', () => {
  let fake: DigitalOceanFake;
  let line: CommandLine;
  beforeAll(async () => {
    fake = await startDigitalOcean({ token: 'right', bootMs: 500 });
    line = commandLine('', { DIGITALOCEAN_ACCESS_TOKEN: 'right', DIGITALOCEAN_API_URL: fake.apiUrl, BELT_DIGITALOCEAN_ALLOW_FROM: '203.0.113.7' });
  });
  afterAll(async () => {
    line.remove();
    await fake.close();
  });
  const belt = (words: string): Promise<Ran> => line.belt(...words.split(' '));
  const done = async (words: string): Promise<string> => {
    const ran = await belt(words);
    expect([words, ran.exit, ran.stderr.replace(/^.*: (?:\d+\/\d+.*|\d+ s)\n/gm, '')]).toEqual([words, 0, '']);
    return ran.stdout;
  };

  it('goes from a new cluster to machines and back', async () => {
    await done('cluster new --driver digitalocean swarm2k');
    await done('use swarm2k');
    await done('cluster update region=sgp1');
    expect(await done('cluster config')).toMatch(/^region +sgp1 +\.belt\/swarm2k\/config\.yml:2$/m);
    const created = rows(await done('create 512mb node[1:4]'));
    expect(created[0]).toEqual(HEADINGS);
    expect(created.slice(1).map(([name, , ...rest]) => [name, ...rest])).toEqual([1, 2, 3, 4].map((n) => [`node${n}`, '512', 'sgp1', 'debian-12-x64', 'active']));
    expect(rows(await done('ls'))).toEqual(created);
    expect(rows(await done('create 8192MB mg[0:2] --no-wait')).slice(1).map((row) => [row[0], row[2], row.at(-1)])).toEqual([0, 1, 2].map((n) => [`mg${n}`, '8192', 'new']));
    expect(rows(await done('status --wait active=7'))).toEqual([['STATUS', '#NODES', 'NAMES'], ['active', '7', 'mg[0:2],node[1:4]']]);
    await done('active mg0');
    expect(await done('active')).toBe('swarm2k/mg0\n');
    expect(await done('ip node2')).toBe(`${created[2]?.[1]}\n`);
    const [headings, cluster] = rows(await done('cluster ls'));
    expect([headings, cluster?.slice(0, 4)]).toEqual([['CLUSTER', 'ACTIVE', 'LEADER', 'MASTERS', '#NODES'], ['swarm2k', 'mg0', '-', '-']]);
    expect(cluster?.[4]).toMatch(/^\d \/ 7$/);
    expect(await done('rm mg[0:2] --yes')).toBe('mg0: removed\nmg1: removed\nmg2: removed\n');
    expect(await done('rm mg[0:2] --yes')).toBe('mg0: already gone\nmg1: already gone\nmg2: already gone\n');
    expect(rows(await done('create 16gb mg[0:2]')).slice(1).map((row) => row[2])).toEqual(['16384', '16384', '16384']);
    expect([fake.account.droplets.size, fake.violations]).toEqual([7, []]);
  }, 60_000);

  it('every machine boots with its call’s throw-away host key, which is pinned until first contact and kept nowhere else', () => {
    const { hostKeys, orders } = line.state('swarm2k');
    const [one, two, other] = [hostKeys['node1'], hostKeys['node2'], hostKeys['mg0']];
    expect([one?.source, one?.keys, orders]).toEqual(['injected', two?.keys, {}]);
    expect(other?.keys).not.toEqual(one?.keys);
    const [droplet] = [...fake.account.droplets.values()].filter(({ name }) => name === 'node1');
    expect(droplet?.userData).toContain(one?.keys[0]);
    expect(readFileSync(path.join(line.folder, '.belt/swarm2k/state.json'), 'utf8')).not.toContain('PRIVATE KEY');
  });

  it('belt ls loads this cloud’s SDK and no other', async () => {
    expect(await sdksLoaded(line, ['ls'])).toEqual(['digitalocean']);
  }, 30_000);

  it('a dry run tells machines, calls, time and price, and makes nothing', async () => {
    const before = fake.calls.get('droplets_create');
    const plan = JSON.parse(await done('create 1gb big[1:5000] --dry-run --json')) as { create: { names: string[] }[]; calls: number; leastSeconds: number; pricePerHour: number };
    expect([plan.create[0]?.names.length, plan.calls]).toEqual([5000, 507]);
    // 507 calls, 10 at once and then 240 a minute.
    expect(plan.leastSeconds).toBeCloseTo(124.25, 1);
    expect(plan.pricePerHour).toBeCloseTo(5000 * 0.00893, 1);
    expect(await done('create 1gb big[1:5000] --dry-run')).toContain("5000 machines, about 507 calls, at least 2 min 5 s at the cloud's limits, ");
    expect(fake.calls.get('droplets_create')).toBe(before);
  }, 30_000);

  it('the account is full: what was made is kept, each machine that was not is named with its reason, exit 3', async () => {
    (fake.account.options as { dropletLimit: number }).dropletLimit = fake.account.droplets.size + 2;
    const ran = await belt('create 512mb late[1:5]');
    expect(ran.exit).toBe(3);
    expect(rows(ran.stdout).slice(1).map((row) => row.at(-1))).toEqual(['active', 'active']);
    const made = rows(ran.stdout).slice(1).map((row) => row[0] as string);
    for (const name of ['late1', 'late2', 'late3', 'late4', 'late5'].filter((one) => !made.includes(one))) expect(ran.stderr).toMatch(new RegExp(`${name}\\b.*|late\\[\\d:\\d\\].*`));
    expect(ran.stderr).toMatch(/droplet limit/);
    expect(await done(`rm ${made.join(',')} --yes`)).toContain('removed');
  }, 30_000);

  it('--rollback removes what this run made, and nothing else', async () => {
    const before = [...fake.account.droplets.keys()];
    const ran = await belt('create 512mb late[1:5] --rollback');
    expect([ran.exit, [...fake.account.droplets.keys()]]).toEqual([1, before]);
    expect(ran.stderr).toContain('the 2 that this run made were removed again');
    expect(Object.keys(line.state('swarm2k').machines).sort()).toEqual(['mg0', 'mg1', 'mg2', 'node1', 'node2', 'node3', 'node4']);
  }, 30_000);

  it('a cloud that is down is shown as such, with the machines as they are remembered', async () => {
    fake.settings.token = 'revoked';
    const ran = await belt('ls node1');
    fake.settings.token = 'right';
    expect(rows(ran.stdout)[1]?.at(-1)).toBe('unknown');
    expect(ran.stderr).toMatch(/digitalocean.*authenticate/i);
    expect(ran.stderr).not.toContain('right');
  }, 30_000);
});
