/** `belt doctor` and the parts of a cloud that are no machines: what a died create, or somebody's hand in the console, left half-built. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { schemasFound } from '../fakes/azure/schemas.ts';
import { startAzure, type AzureFake } from '../fakes/azure/service.ts';
import { contractFound } from '../fakes/digitalocean/contract.ts';
import { startDigitalOcean, type DigitalOceanFake } from '../fakes/digitalocean/service.ts';
import { startEc2, type Ec2Fake } from '../fakes/ec2/service.ts';
import { azureLine, digitalOceanLine, ec2Line } from './cloud-lines.ts';
import type { CommandLine, Ran } from './command-line.ts';

interface Shown {
  finding: string;
  name: string | null;
  id: string | null;
  region: string | null;
  next: string;
}
/** Runs lines of one cluster. */
function session(line: CommandLine) {
  const belt = (words: string): Promise<Ran> => line.belt(...words.split(' '));
  const found = async (): Promise<string[]> => (JSON.parse((await belt('doctor --json')).stdout) as Shown[]).map(({ finding, name }) => `${finding}: ${name}`);
  const clusterId = (): string => (line.state('default') as unknown as { cluster: { id: string } }).cluster.id.slice(0, 12);
  return { belt, found, clusterId };
}

describe.skipIf(!contractFound && process.env['CI'] !== 'true')('on DigitalOcean (needs ../shared/reference/digitalocean-openapi.json)', () => {
  let fake: DigitalOceanFake;
  let line: CommandLine;
  beforeAll(async () => {
    fake = await startDigitalOcean({ token: 'right', bootMs: 5 });
    line = digitalOceanLine(fake);
  });
  afterAll(async () => {
    line.remove();
    await fake.close();
  });

  it('a create that made no machine leaves firewall, network, key and tag; they are offered and removed', async () => {
    const { belt, found, clusterId } = session(line);
    (fake.account.options as { dropletLimit: number }).dropletLimit = 0;
    expect((await belt('create 1gb node1')).exit).toBe(1);
    (fake.account.options as { dropletLimit: number }).dropletLimit = 100;
    expect(await found()).toEqual([`unused part: firewall belt-${clusterId()}`, `unused part: VPC belt-${clusterId()}-nyc3`, expect.stringMatching(`^unused part: SSH key belt-${clusterId()}-`), expect.stringMatching('^unused part: tag belt-c:')]);
    const shown = await belt('doctor');
    expect([shown.exit, shown.stdout.split('\n')[2]]).toEqual([1, expect.stringMatching(/no machine needs it: belt doctor --remove; a create would use it$/)]);
    const refused = await belt('doctor --remove');
    expect([refused.exit, refused.stderr]).toEqual([5, expect.stringContaining('Remove 4 parts that no machine uses? Not without --yes where nobody can be asked.')]);
    const adopted = await belt('doctor --adopt');
    expect([adopted.exit, adopted.stderr]).toEqual([3, expect.stringContaining('4 findings were left as they are: belt doctor --remove\n')]);
    expect((await belt(`doctor --remove --yes belt-${clusterId()}-nyc3`)).exit).toBe(0);
    expect([await found(), fake.account.vpcs.size]).toEqual([[expect.any(String), expect.any(String), expect.any(String)], 0]);
    expect((await belt('doctor --remove --yes')).exit).toBe(0);
    expect([(await belt('doctor')).stdout, fake.account.firewalls.size, fake.account.keys.size, fake.account.tags.size]).toEqual(['cluster default: 0 machines, nothing amiss\n', 0, 0, 0]);
    expect((await belt('doctor --remove nobody')).exit).toBe(1);
  }, 180_000);

  it('cluster rm leaves no part behind, whoever made it and died', async () => {
    (fake.account.options as { dropletLimit: number }).dropletLimit = 0;
    expect((await line.belt('--cluster', 'other', 'cluster', 'new', 'other')).exit).toBe(0);
    expect((await line.belt('--cluster', 'other', 'create', '1gb', 'node1')).exit).toBe(1);
    (fake.account.options as { dropletLimit: number }).dropletLimit = 100;
    expect([fake.account.firewalls.size, (await line.belt('cluster', 'rm', 'other', '--yes')).exit, fake.account.firewalls.size, fake.account.vpcs.size]).toEqual([1, 0, 0, 0]);
    expect((await line.belt('cluster', 'use', 'default')).exit).toBe(0);
  }, 180_000);

  it('a firewall without its tag and some of its rules is completed; one that is gone is made again; rm leaves nothing', async () => {
    const { belt, found, clusterId } = session(line);
    expect((await belt('create 1gb node1')).exit).toBe(0);
    expect(await found()).toEqual([]);
    const [firewall] = fake.account.firewalls.values();
    const whole = JSON.stringify((firewall?.['inbound_rules'] as object[]).map((rule) => JSON.stringify(rule)).sort());
    Object.assign(firewall as object, { tags: [], inbound_rules: (firewall?.['inbound_rules'] as object[]).slice(2) });
    expect(await found()).toEqual([`incomplete part: firewall belt-${clusterId()}`]);
    expect((await belt('doctor')).stdout).toContain('is on no machine, lacks 2 of its rules: belt doctor --adopt completes it');
    expect([(await belt('doctor --remove --yes')).exit, (await belt('doctor --adopt')).exit]).toEqual([3, 0]);
    expect([await found(), JSON.stringify((firewall?.['inbound_rules'] as object[]).map((rule) => JSON.stringify(rule)).sort()), (firewall?.['tags'] as string[]).length]).toEqual([[], whole, 1]);
    fake.account.firewalls.clear();
    expect(await found()).toEqual([`missing part: firewall belt-${clusterId()}`]);
    expect([(await belt('doctor --adopt')).exit, fake.account.firewalls.size]).toEqual([0, 1]);
    expect((await belt('rm node1 --yes')).exit).toBe(0);
    expect([fake.account.firewalls.size, fake.account.vpcs.size, fake.account.keys.size, [...fake.account.tags].filter((tag) => /^belt-(c|req)/.test(tag)), fake.violations]).toEqual([0, 0, 0, [], []]);
  }, 180_000);
});

describe('on EC2', () => {
  let fake: Ec2Fake;
  let line: CommandLine;
  beforeAll(async () => {
    fake = await startEc2({ bootMs: 5 });
    line = ec2Line(fake, '', ['eu-west-1', 'us-east-1']);
  });
  afterAll(async () => {
    line.remove();
    await fake.close();
  });

  it('group and key of a region without machines are removed; a group without its rules gets them', async () => {
    const { belt, found, clusterId } = session(line);
    fake.options.capacity.set('t3.micro/us-east-1a', 0).set('t3.micro/us-east-1b', 0).set('t3.micro/us-east-1c', 0);
    expect((await belt('create 1gb a[1:4] --region eu-west-1,us-east-1')).exit).toBe(3);
    const group = fake.region('eu-west-1').groups.values().next().value;
    group?.rules.splice(0);
    expect(await found()).toEqual(expect.arrayContaining([`incomplete part: security group belt-${clusterId()}`, `unused part: security group belt-${clusterId()}`, expect.stringMatching(/^unused part: key pair belt-/)]));
    expect((await belt('doctor --adopt')).exit).toBe(3);
    expect(group?.rules).toHaveLength(9);
    expect((await belt('doctor --remove --yes')).exit).toBe(0);
    expect([await found(), fake.region('us-east-1').groups.size, fake.region('us-east-1').keys.size, fake.region('eu-west-1').groups.size]).toEqual([[], 0, 0, 1]);
    expect((await belt('rm a1 a3 --yes')).exit).toBe(0);
    expect([fake.region('eu-west-1').groups.size, fake.region('eu-west-1').keys.size]).toEqual([0, 0]);
  }, 180_000);
});

describe.skipIf(!schemasFound && process.env['CI'] !== 'true')('on Azure (needs ../shared/reference/azure-arm-put-schemas.json)', () => {
  let fake: AzureFake;
  let line: CommandLine;
  beforeAll(async () => {
    fake = await startAzure({ bootMs: 5 });
    line = azureLine(fake);
  });
  afterAll(async () => {
    line.remove();
    await fake.close();
  });

  it('a group without machines goes whole; interface, address and disk without a machine, and lost rules, are found each', async () => {
    const { belt, found, clusterId } = session(line);
    (fake.subscription.options as { coreQuota: number }).coreQuota = 0;
    expect((await belt('create 1gb node1')).exit).toBe(1);
    (fake.subscription.options as { coreQuota: number }).coreQuota = 1;
    expect(await found()).toEqual([`unused part: resource group belt-${clusterId()}`]);
    expect((await belt('doctor --remove')).exit).toBe(5);
    expect([(await belt('doctor --remove --yes')).exit, fake.subscription.resources.size, fake.subscription.groups.size]).toEqual([0, 0, 0]);
    // One machine fits; the other's interface and address stay, and so does a disk that somebody took off.
    expect((await belt('create 1gb node[1:2]')).exit).toBe(3);
    const machine = fake.subscription.list(null, 'Microsoft.Compute/virtualMachines')[0]?.name;
    const other = machine === 'node1' ? 'node2' : 'node1';
    fake.subscription.put(`belt-${clusterId()}`, 'Microsoft.Compute/disks', 'old_OsDisk', { location: 'westeurope', properties: {} });
    for (const rules of fake.subscription.list(null, 'Microsoft.Network/networkSecurityGroups')) fake.subscription.remove(rules);
    expect(await found()).toEqual(['missing part: security group swarm-westeurope', `unused part: network interface ${other}-nic`, `unused part: public address ${other}-ip`, 'unused part: disk old_OsDisk']);
    expect([(await belt('doctor --adopt swarm-westeurope')).exit, (await belt('doctor --remove --yes')).exit, await found()]).toEqual([0, 0, []]);
    expect(fake.subscription.list(null, 'Microsoft.Network/networkInterfaces').map(({ name }) => name)).toEqual([`${machine}-nic`]);
    expect((await belt(`rm ${machine} --yes`)).exit).toBe(0);
    expect([fake.subscription.resources.size, fake.violations]).toEqual([0, []]);
  }, 180_000);
});
