/** One cluster on several clouds and regions: they are asked at once, and one that is down is shown as such and takes no other with it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { contractFound } from '../fakes/digitalocean/contract.ts';
import { startDigitalOcean, type DigitalOceanFake } from '../fakes/digitalocean/service.ts';
import { startEc2, type Ec2Fake } from '../fakes/ec2/service.ts';
import { startHosts, type FakeHosts } from '../fakes/hosts.ts';
import { commandLine, rows, type CommandLine, type Ran } from './command-line.ts';

describe.skipIf(!contractFound && process.env['CI'] !== 'true')('several clouds (needs ../shared/reference/digitalocean-openapi.json)', () => {
  let ocean: DigitalOceanFake;
  let ec2: Ec2Fake;
  let hosts: FakeHosts;
  let line: CommandLine;
  const belt = (words: string): Promise<Ran> => line.belt(...words.split(' '));
  const statuses = (ran: Ran): Record<string, string | undefined> => Object.fromEntries(rows(ran.stdout).slice(1).map((row) => [row[0], row.at(-1)]));
  const warnings = (ran: Ran): string[] => [...ran.stderr.matchAll(/^belt: warning: (.*)$/gm)].map(([, text]) => text as string);
  beforeAll(async () => {
    [ocean, ec2, hosts] = await Promise.all([startDigitalOcean({ token: 'right', bootMs: 50 }), startEc2({ bootMs: 50 }), startHosts(1, '91.31')]);
    line = commandLine(
      `driver: generic\ngeneric:\n  timeout: 2\n  hosts: [{name: mg0, address: ${hosts.addresses[0]}, port: ${hosts.port}}]\n` +
        `digitalocean:\n  api_url: ${ocean.apiUrl}\n  allow_from: [203.0.113.7]\nec2:\n  endpoint: ${ec2.url}\n  region: eu-west-1\n  regions: [eu-west-1, us-east-1]\n  allow_from: [203.0.113.7]\n`,
      { DIGITALOCEAN_ACCESS_TOKEN: 'right', AWS_ACCESS_KEY_ID: 'AKIAFAKE', AWS_SECRET_ACCESS_KEY: 'x' },
    );
    for (const words of ['create any mg0', '-d digitalocean create 1gb node[1:2]', '-d ec2 create 1gb eu[1:2]', '-d ec2 create 1gb us[1:2] --region us-east-1']) expect([words, await belt(words)]).toMatchObject([words, { exit: 0 }]);
  }, 180_000);
  afterAll(async () => {
    line.remove();
    await Promise.all([ocean.close(), ec2.close(), hosts.close()]);
  });

  it('ls and status show all of them', async () => {
    const ran = await belt('ls');
    expect([ran.exit, ran.stderr, statuses(ran)]).toEqual([0, '', { eu1: 'active', eu2: 'active', mg0: 'active', node1: 'active', node2: 'active', us1: 'active', us2: 'active' }]);
    expect((await belt('status')).stdout).toMatch(/^active +7 +eu\[1:2\],mg0,node\[1:2\],us\[1:2\]$/m);
  }, 30_000);

  it('a cloud that fails is said to be down; its machines are unknown, all others as they are', async () => {
    ocean.faults.add({ kind: 'answer', status: 503, times: 1_000 });
    const [ran, status] = await Promise.all([belt('ls'), belt('status')]);
    expect(statuses(ran)).toEqual({ eu1: 'active', eu2: 'active', mg0: 'active', node1: 'unknown', node2: 'unknown', us1: 'active', us2: 'active' });
    expect([ran.exit, warnings(ran)]).toEqual([0, ['digitalocean does not answer, its machines are shown as last seen: DigitalOcean: status 503']]);
    expect([status.exit, rows(status.stdout).slice(1)]).toEqual([0, [['active', '5', 'eu[1:2],mg0,us[1:2]'], ['unknown', '2', 'node[1:2]']]]);
    ocean.faults.clear();
  }, 180_000);

  it('a cloud that refuses connections is no different', async () => {
    ocean.faults.add({ kind: 'refused', times: 1_000 });
    const ran = await belt('ls node[1:2] mg0');
    ocean.faults.clear();
    expect([ran.exit, statuses(ran), warnings(ran)]).toEqual([0, { mg0: 'active', node1: 'unknown', node2: 'unknown' }, [expect.stringMatching(/^digitalocean does not answer.*ECONNRESET/)]]);
  }, 30_000);

  it('a region that is down is said to be down; the other regions answer, and machines are made in them', async () => {
    ec2.settings.downRegion = 'us-east-1';
    const [ran, doctor] = await Promise.all([belt('ls'), belt('doctor')]);
    expect(statuses(ran)).toEqual({ eu1: 'active', eu2: 'active', mg0: 'active', node1: 'active', node2: 'active', us1: 'unknown', us2: 'unknown' });
    expect([ran.exit, warnings(ran)]).toEqual([0, [expect.stringMatching(/^ec2 in us-east-1 does not answer, its machines are shown as last seen: /)]]);
    expect([doctor.exit, rows(doctor.stdout).slice(1).map((row) => row.slice(0, 3))]).toEqual([1, [['cloud is down', 'us-east-1', 'ec2']]]);
    const created = await belt('-d ec2 create 1gb eu3 us1');
    expect([created.exit, statuses(created)]).toEqual([0, { eu3: 'active', us1: 'active' }]);
    expect(warnings(created)[0]).toMatch(/^ec2 in us-east-1 does not answer, its machines are taken to be as last seen: /);
    expect(created.stderr).toContain('us1: there already, left alone');
    ec2.settings.downRegion = null;
    expect((await belt('rm eu3 --yes')).exit).toBe(0);
  }, 180_000);

  it('everything down: all machines as remembered, exit 1 only where nothing is known', async () => {
    ocean.faults.add({ kind: 'answer', status: 500, times: 1_000 });
    ec2.settings.accessKey = 'AKIAOTHER';
    const ran = await belt('status --json');
    expect([ran.exit, JSON.parse(ran.stdout)]).toEqual([0, [{ status: 'active', count: 1, names: ['mg0'] }, { status: 'unknown', count: 6, names: ['eu1', 'eu2', 'node1', 'node2', 'us1', 'us2'] }]]);
    expect(warnings(ran)).toHaveLength(3);
    ocean.faults.clear();
    ec2.settings.accessKey = 'AKIAFAKE';
  }, 30_000);

  it('cluster ls counts clusters of several drivers, whichever cloud is down', async () => {
    expect((await belt('--cluster other cluster new other -d local')).exit).toBe(0);
    expect((await belt('--cluster default ls mg0')).exit).toBe(0);
    ocean.faults.add({ kind: 'answer', status: 500, times: 1_000 });
    expect(rows((await belt('cluster ls')).stdout).slice(1)).toEqual([['default', '-', '-', '-', '7 / 7'], ['other', '-', '-', '-', '0 / 0']]);
    ocean.faults.clear();
  }, 30_000);
});
