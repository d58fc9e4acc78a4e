/** Clients that others wrote, against our fakes: a check of the fakes. Where one is not installed its test is skipped by name. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

import { contractFound } from './digitalocean/contract.ts';
import { startDigitalOcean } from './digitalocean/service.ts';
import { FAKE_IMAGE, startEc2 } from './ec2/service.ts';

const run = promisify(execFile);

/** The first Python here that has the module, or null. */
async function pythonWith(module: string): Promise<string | null> {
  for (const python of ['python3', '/usr/bin/python3']) if (await run(python, ['-c', `import ${module}`]).then(() => true, () => false)) return python;
  return null;
}

async function say(python: string, script: string, env: Readonly<Record<string, string>>): Promise<unknown> {
  const { stdout } = await run(python, ['-c', script], { env: { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', ...env }, timeout: 60_000 });
  return JSON.parse(stdout) as unknown;
}

const DIGITALOCEAN = `
import digitalocean, json, time
m = digitalocean.Manager(token='right')
key = digitalocean.SSHKey(token='right', name='k', public_key='ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKlPcpBnzv3sGwrkISTvVVkZvjlPZ3gMUmfe1AzkpYP9 x')
key.create()
# Without a network the client sends null for it (and for a description), which the published contract does not allow and the fake therefore refuses.
vpcs = {r: digitalocean.VPC(token='right', name='v-' + r, region=r, ip_range=n, description='x') for r, n in (('nyc3', '10.71.0.0/16'), ('fra1', '10.72.0.0/16'))}
for v in vpcs.values(): v.create()
drops = digitalocean.Droplet.create_multiple(token='right', names=['a1', 'a2', 'a3'], region='nyc3', image='debian-12-x64', size_slug='s-1vcpu-1gb', ssh_keys=[key.id], tags=['blue'], vpc_uuid=vpcs['nyc3'].id)
one = digitalocean.Droplet(token='right', name='b1', region='fra1', image='debian-12-x64', size_slug='s-1vcpu-2gb', ssh_keys=[key], tags=['green'], vpc_uuid=vpcs['fra1'].id)
one.create()
while any(d.status != 'active' for d in m.get_all_droplets()): time.sleep(0.05)
blue = sorted(d.name for d in m.get_all_droplets(tag_name='blue'))
one.load()
first = [one.ip_address is not None, one.size_slug, one.memory]
one.power_off()
while m.get_droplet(one.id).status != 'off': time.sleep(0.05)
limit = m.get_account().droplet_limit
for d in m.get_all_droplets(): d.destroy()
print(json.dumps(dict(blue=blue, one=first, limit=limit, regions='nyc3' in [r.slug for r in m.get_all_regions()], left=len(m.get_all_droplets()))))
`;

const doPython = await pythonWith('digitalocean');
it.skipIf(doPython === null || (!contractFound && process.env['CI'] !== 'true'))('python-digitalocean (Debian’s python3-digitalocean) on the DigitalOcean fake', async () => {
  const fake = await startDigitalOcean({ token: 'right', bootMs: 100 });
  try {
    expect(await say(doPython as string, DIGITALOCEAN, { DIGITALOCEAN_END_POINT: fake.apiUrl })).toEqual({ blue: ['a1', 'a2', 'a3'], one: [true, 's-1vcpu-2gb', 2048], limit: 10_000, regions: true, left: 0 });
    expect(fake.violations).toEqual([]);
  } finally {
    await fake.close();
  }
}, 90_000);

const EC2 = `
import boto3, json, os, time
ec2 = boto3.client('ec2', region_name='eu-west-1')
ask = dict(ImageId=os.environ['IMAGE'], InstanceType='t3.nano', MinCount=3, MaxCount=3, ClientToken='t1', TagSpecifications=[{'ResourceType': 'instance', 'Tags': [{'Key': 'team', 'Value': 'blue'}]}])
first = [i['InstanceId'] for i in ec2.run_instances(**ask)['Instances']]
again = [i['InstanceId'] for i in ec2.run_instances(**ask)['Instances']]
try:
    ec2.run_instances(**{**ask, 'InstanceType': 't3.micro'})
    mismatch = None
except ec2.exceptions.ClientError as e:
    mismatch = e.response['Error']['Code']
def listed(): return [i for page in ec2.get_paginator('describe_instances').paginate(Filters=[{'Name': 'tag:team', 'Values': ['blue']}]) for r in page['Reservations'] for i in r['Instances']]
while any(i['State']['Name'] != 'running' for i in listed()): time.sleep(0.05)
ec2.create_tags(Resources=first[:1], Tags=[{'Key': 'Name', 'Value': 'x'}])
name = [t['Value'] for i in listed() if i['InstanceId'] == first[0] for t in i['Tags'] if t['Key'] == 'Name']
ec2.stop_instances(InstanceIds=first[:1])
while ec2.describe_instances(InstanceIds=first[:1])['Reservations'][0]['Instances'][0]['State']['Name'] != 'stopped': time.sleep(0.05)
ec2.terminate_instances(InstanceIds=first)
while any(i['State']['Name'] != 'terminated' for i in listed()): time.sleep(0.05)
print(json.dumps(dict(same=sorted(first) == sorted(again), mismatch=mismatch, name=name, nano='t3.nano' in [t['InstanceType'] for t in ec2.describe_instance_types()['InstanceTypes']])))
`;

const botoPython = await pythonWith('boto3');
it.skipIf(botoPython === null)('boto3 on the EC2 fake', async () => {
  const fake = await startEc2({ bootMs: 100 });
  try {
    const env = { AWS_ENDPOINT_URL: fake.url, AWS_ACCESS_KEY_ID: 'AKIAFAKE', AWS_SECRET_ACCESS_KEY: 'x', IMAGE: FAKE_IMAGE, ...(process.env['PYENV_ROOT'] === undefined ? {} : { PYENV_ROOT: process.env['PYENV_ROOT'] }) };
    expect(await say(botoPython as string, EC2, env)).toEqual({ same: true, mismatch: 'IdempotentParameterMismatch', name: ['x'], nano: true });
  } finally {
    await fake.close();
  }
}, 90_000);
