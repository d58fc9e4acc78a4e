/** `belt snapshot`, `snapshot ls`, `snapshot rm` and `create --image MACHINE@LABEL`, typed again after every kind of accident. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { groupOf } from '../../drivers/azure/network.ts';
import { schemasFound } from '../fakes/azure/schemas.ts';
import { startAzure, type AzureFake } from '../fakes/azure/service.ts';
import type { Resource } from '../fakes/azure/state.ts';
import { contractFound } from '../fakes/digitalocean/contract.ts';
import { startDigitalOcean, type DigitalOceanFake } from '../fakes/digitalocean/service.ts';
import { startEc2, type Ec2Fake } from '../fakes/ec2/service.ts';
import { motoFound, startMoto, type Moto } from '../fakes/moto.ts';
import { azureLine, digitalOceanLine, ec2Line, motoLine } from './cloud-lines.ts';
import { commandLine, rows, type CommandLine, type Ran } from './command-line.ts';

const today = new Date().toISOString().slice(0, 10);

describe.skipIf(!contractFound && process.env['CI'] !== 'true')('on DigitalOcean (needs ../shared/reference/digitalocean-openapi.json)', () => {
  let fake: DigitalOceanFake;
  let line: CommandLine;
  const belt = (words: string): Promise<Ran> => line.belt(...words.split(' '));
  const names = (): string[] => [...fake.account.snapshots.values()].map(({ name }) => name.split('/').slice(2).join('@')).sort();
  beforeAll(async () => {
    fake = await startDigitalOcean({ token: 'right', bootMs: 1_000 });
    line = digitalOceanLine(fake);
    expect((await belt('create 1gb node[1:3]')).exit).toBe(0);
  }, 180_000);
  afterAll(async () => {
    line.remove();
    await fake.close();
  });

  it('one of each machine, owned by a tag; again makes none; the label is the date unless one is given', async () => {
    expect((await belt('snapshot node[1:2] --label before')).stdout).toBe('node1: snapshot node1@before taken\nnode2: snapshot node2@before taken\n');
    expect([...fake.account.snapshots.values()].map(({ tags }) => tags)).toEqual([[expect.stringMatching(/^belt-c:/)], [expect.stringMatching(/^belt-c:/)]]);
    expect((await belt('snapshot node[1:3] --label before')).stdout).toBe('node1: node1@before is there already\nnode2: node2@before is there already\nnode3: snapshot node3@before taken\n');
    expect((await belt('snapshot node1')).stdout).toBe(`node1: snapshot node1@${today} taken\n`);
    expect(names()).toEqual([`node1@${today}`, 'node1@before', 'node2@before', 'node3@before'].sort());
    const listed = rows((await belt('snapshot ls')).stdout);
    expect(listed[0]).toEqual(['NAME', 'DRIVER', 'REGIONS', 'GB', 'CREATED', 'ID', 'STATUS']);
    expect(listed.slice(1).map(([name, driver, region, , , , status]) => [name, driver, region, status])).toContainEqual(['node3@before', 'digitalocean', 'nyc3', 'ready']);
  }, 180_000);

  it('a machine is made from one, where it is; its identity is thrown away before anything starts', async () => {
    expect((await belt('create 1gb copy1 --image node2@before')).exit).toBe(0);
    const [copy] = [...fake.account.droplets.values()].filter(({ name }) => name === 'copy1');
    expect([copy?.image, copy?.userData]).toEqual([[...fake.account.snapshots.values()].find(({ name }) => name.endsWith('/node2/before'))?.id, expect.stringMatching(/cloud-init-per, instance, .*\/var\/lib\/belt/)]);
    const elsewhere = await belt('create 1gb copy2 --image node2@before --region fra1');
    expect([elsewhere.exit, elsewhere.stderr]).toEqual([1, 'belt: snapshot node2@before is in nyc3 and not in fra1\nnext: create there: --region nyc3\n']);
    expect((await belt('create 1gb copy2 --image node2@never')).stderr).toContain('has no snapshot node2@never on digitalocean');
  }, 180_000);

  it('a lost answer, and a run that was killed, leave one snapshot and not two', async () => {
    fake.faults.add({ kind: 'lost-reply', on: 'dropletActions_post' });
    expect((await belt('snapshot node1 --label lost')).exit).toBe(0);
    const asked = fake.calls.get('dropletActions_post') ?? 0;
    const running = line.start('snapshot', 'node[1:3]', '--label', 'killed');
    await vi.waitFor(() => expect(fake.calls.get('dropletActions_post')).toBe(asked + 3), { timeout: 20_000, interval: 5 });
    running.child.kill('SIGKILL');
    await running.ended;
    const again = await belt('snapshot node[1:3] --label killed');
    expect([again.exit, fake.calls.get('dropletActions_post'), names().filter((name) => /lost|killed/.test(name))]).toEqual([0, asked + 3, ['node1@killed', 'node1@lost', 'node2@killed', 'node3@killed']]);
  }, 180_000);

  it('some fail: exit 3 with each machine’s reason; rm asks, removes, and is done when they are gone', async () => {
    fake.faults.add({ kind: 'answer', status: 422, body: '{"id":"unprocessable_entity","message":"snapshot limit reached"}', on: ({ name, path }) => name === 'dropletActions_post' && path.includes(String([...fake.account.droplets.keys()][0])) });
    const partly = await belt('snapshot node[1:2] --label some');
    expect([partly.exit, partly.stdout, partly.stderr]).toEqual([3, 'node2: snapshot node2@some taken\n', expect.stringContaining('node1: DigitalOcean: snapshot limit reached')]);
    expect((await belt('snapshot rm node2@some')).exit).toBe(5);
    expect((await belt('snapshot rm node[1:2]@some --yes')).stdout).toBe('node1@some: already gone\nnode2@some: removed\n');
    expect((await belt('snapshot rm node2')).exit).toBe(2);
    expect((await belt('snapshot nobody')).exit).toBe(1);
    expect((await belt('snapshot node1 --label a/b')).exit).toBe(2);
    expect([names().includes('node2@some'), fake.violations]).toEqual([false, []]);
    const ended = await belt('cluster rm default --yes');
    expect([ended.exit, ended.stderr]).toEqual([0, expect.stringMatching(/^belt: warning: \d snapshots stay, and cost what snapshots cost: digitalocean \d+/m)]);
  }, 180_000);
});

describe('on EC2', () => {
  let fake: Ec2Fake;
  let line: CommandLine;
  const belt = (words: string): Promise<Ran> => line.belt(...words.split(' '));
  beforeAll(async () => {
    fake = await startEc2({ bootMs: 300 });
    line = ec2Line(fake, 'ssh_keys: [ssh-ed25519 AAAAyou you]\n', ['eu-west-1', 'us-east-1']);
    expect((await belt('create 1gb node[1:2] --region eu-west-1,us-east-1')).exit).toBe(0);
    // EC2 takes one key of its own way: who else may log in stands in the user data.
    const userData = [...fake.region('us-east-1').instances.values()].map((instance) => Buffer.from(instance.userData ?? '', 'base64').toString());
    expect(userData).toEqual([expect.stringMatching(/^ssh_authorized_keys: \["ssh-ed25519 [^"]+","ssh-ed25519 AAAAyou you"\]$/m)]);
  }, 180_000);
  afterAll(async () => {
    line.remove();
    await fake.close();
  });

  it('images in each region, without a reboot; again makes none; disks go with them, also after a removal that died', async () => {
    fake.faults.add({ kind: 'lost-reply', on: 'CreateImage' });
    const taken = await belt('snapshot node[1:2] --label x');
    expect([taken.exit, taken.stdout.match(/^node\d/gm)]).toEqual([0, ['node1', 'node2']]);
    expect((await belt('snapshot node[1:2] --label x')).stdout).toBe('node1: node1@x is there already\nnode2: node2@x is there already\n');
    expect(rows((await belt('snapshot ls')).stdout).slice(1).map(([name, , region, , , , status]) => [name, region, status])).toEqual([['node1@x', 'eu-west-1', 'ready'], ['node2@x', 'us-east-1', 'ready']]);
    expect([...fake.region('eu-west-1').instances.values()].map((one) => fake.region('eu-west-1').state(one))).toEqual(['running']);
    expect((await belt('create 1gb copy --image node1@x')).exit).toBe(0);
    expect([...fake.region('eu-west-1').instances.values()].map(({ image }) => image)).toContain([...fake.region('eu-west-1').images.keys()][0]);
    fake.faults.add({ kind: 'answer', status: 400, times: 5, on: 'DeleteSnapshot', body: '<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors></Response>' });
    expect((await belt('snapshot rm node2@x --yes')).exit).toBe(1);
    fake.faults.clear();
    expect(rows((await belt('snapshot ls')).stdout)[2]?.at(-1)).toBe('error');
    expect((await belt('snapshot rm node[1:2]@x --yes')).stdout).toBe('node1@x: removed\nnode2@x: removed\n');
    for (const region of ['eu-west-1', 'us-east-1']) expect([fake.region(region).images.size, fake.region(region).snapshots.size]).toEqual([0, 0]);
    expect(rows((await belt('snapshot ls')).stdout)).toHaveLength(1);
  }, 180_000);
});

describe.skipIf(!schemasFound && process.env['CI'] !== 'true')('on Azure (needs ../shared/reference/azure-arm-put-schemas.json)', () => {
  let fake: AzureFake;
  let line: CommandLine;
  const belt = (words: string): Promise<Ran> => line.belt(...words.split(' '));
  const kept = (type: 'snapshots' | 'images' | 'virtualMachines'): Resource[] => fake.subscription.list(null, `Microsoft.Compute/${type}`);
  beforeAll(async () => {
    fake = await startAzure({ bootMs: 20 });
    line = azureLine(fake);
    expect((await belt('create 1gb node[1:2]')).exit).toBe(0);
  }, 180_000);
  afterAll(async () => {
    line.remove();
    await fake.close();
  });

  it('one of each disk, in a group of their own; again makes none, also after a lost answer and a run that was killed', async () => {
    fake.faults.add({ kind: 'lost-reply', on: 'PUT snapshots' });
    expect((await belt('snapshot node[1:2] --label v1.0')).stdout.split('\n').sort()).toEqual(['', 'node1: snapshot node1@v1.0 taken', 'node2: snapshot node2@v1.0 taken']);
    expect((await belt('snapshot node[1:2] --label v1.0')).stdout).toBe('node1: node1@v1.0 is there already\nnode2: node2@v1.0 is there already\n');
    const running = line.start('snapshot', 'node[1:2]', '--label', 'killed');
    await vi.waitFor(() => expect(kept('snapshots')).toHaveLength(4), { timeout: 20_000, interval: 5 });
    running.child.kill('SIGKILL');
    await running.ended;
    expect((await belt('snapshot node[1:2] --label killed')).exit).toBe(0);
    const listed = rows((await belt('snapshot ls')).stdout).slice(1);
    expect(listed.map(([name, driver, region, gb, , , status]) => [name, driver, region, gb, status])).toEqual(['node1@killed', 'node1@v1.0', 'node2@killed', 'node2@v1.0'].map((name) => [name, 'azure', 'westeurope', '30', 'ready']));
    expect([kept('snapshots').map(({ group }) => group), kept('images')]).toEqual([Array(4).fill(expect.stringMatching(/^belt-[0-9a-f]{12}-snapshots$/)), []]);
  }, 180_000);

  it('machines are made from one, alone and as a scale set, by an image that is made once', async () => {
    expect((await belt('create 1gb copy1 --image node2@v1.0')).exit).toBe(0);
    const set = await belt('create 1gb copy[2:61] --image node2@v1.0');
    expect([set.exit, kept('images').length, fake.calls.get('PUT virtualMachineScaleSets'), set.stderr]).toEqual([0, 1, 1, expect.any(String)]);
    const [image] = kept('images');
    const copies = kept('virtualMachines').map(({ body }) => (body['properties'] as { storageProfile: { imageReference: { id?: string } } }).storageProfile.imageReference.id);
    expect(copies.filter((id) => id === image?.id)).toHaveLength(61);
    expect(rows((await belt('ls copy1')).stdout)[1]?.at(-2)).toBe(image?.name);
  }, 180_000);

  it('they stay when the machines go; what cannot be made is told of; the last one takes their group along', async () => {
    expect((await belt('rm node[1:2] copy[1:61] --yes')).exit).toBe(0);
    expect([fake.subscription.groups.size, kept('snapshots').length, (await belt('doctor')).stdout]).toEqual([1, 4, 'cluster default: 0 machines, nothing amiss\n']);
    expect((await belt('create 1gb again --image node1@v1.0')).exit).toBe(0);
    fake.faults.add({ kind: 'answer', status: 409, body: '{"error":{"code":"OperationNotAllowed","message":"quota of snapshots"}}', on: 'PUT snapshots' });
    const refused = await belt('snapshot again --label x');
    expect([refused.exit, refused.stderr]).toEqual([1, expect.stringContaining('Azure: OperationNotAllowed: quota of snapshots')]);
    const failed = fake.subscription.get(kept('snapshots')[0]?.group ?? '', 'Microsoft.Compute/snapshots', kept('snapshots')[0]?.name ?? '');
    Object.assign(failed as Resource, { failure: { code: 'InternalError', message: 'no' } });
    expect(rows((await belt('snapshot ls')).stdout).slice(1).filter((row) => row.at(-1) === 'error')).toHaveLength(1);
    expect((await belt('snapshot rm node[1:2]@v1.0 node1@killed --yes')).stdout).toBe('node1@v1.0: removed\nnode2@v1.0: removed\nnode1@killed: removed\n');
    expect([kept('images').length, kept('snapshots').length, fake.subscription.groups.size]).toEqual([0, 1, 2]);
    expect((await belt('snapshot rm node[1:2]@killed --yes')).stdout).toBe('node1@killed: already gone\nnode2@killed: removed\n');
    expect([[...fake.subscription.groups.keys()].filter((name) => name.endsWith('-snapshots')), fake.violations]).toEqual([[], []]);
  }, 180_000);

  it('an empty group that a died run left is found by belt doctor, and removed', async () => {
    const group = `${groupOf((line.state('default') as unknown as { cluster: { id: string } }).cluster.id)}-snapshots`;
    fake.subscription.groups.set(group, { name: group, location: 'westeurope', tags: {}, deleteAtMs: null });
    expect((await belt('doctor')).stdout).toContain(`resource group ${group}`);
    expect([(await belt('doctor --remove --yes')).exit, fake.subscription.groups.has(group)]).toEqual([0, false]);
  }, 180_000);
});

describe.skipIf(!motoFound)('on moto (needs moto_server)', () => {
  let moto: Moto;
  let line: CommandLine;
  beforeAll(async () => {
    moto = await startMoto();
    line = motoLine(moto);
  }, 40_000);
  afterAll(async () => {
    line.remove();
    await moto.close();
  });

  it('take, list, make from, remove', async () => {
    const belt = async (words: string): Promise<string> => {
      const ran = await line.belt(...words.split(' '));
      expect([words, ran.exit, ran.exit === 0 ? '' : ran.stderr]).toEqual([words, 0, '']);
      return ran.stdout;
    };
    await belt('create 512mb node1');
    expect(await belt('snapshot node1 --label x')).toBe('node1: snapshot node1@x taken\n');
    expect(await belt('snapshot node1 --label x')).toBe('node1: node1@x is there already\n');
    expect(rows(await belt('snapshot ls')).slice(1).map(([name, , region, , , , status]) => [name, region, status])).toEqual([['node1@x', moto.region, 'ready']]);
    await belt('create 512mb copy --image node1@x');
    expect(await belt('snapshot rm node1@x --yes')).toBe('node1@x: removed\n');
    expect(rows(await belt('snapshot ls'))).toHaveLength(1);
  }, 180_000);
});

it('where belt takes none it says so', async () => {
  const line = commandLine('driver: local\n');
  try {
    const ran = await line.belt('snapshot', 'ls');
    expect([ran.exit, ran.stderr]).toEqual([1, 'belt: belt takes no snapshots on local; nothing was done\nnext: it does on digitalocean, ec2 and azure\n']);
  } finally {
    line.remove();
  }
}, 30_000);
