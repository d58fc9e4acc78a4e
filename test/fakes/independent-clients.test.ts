/** Clients that others wrote, against our fakes: a check of the fakes. Where one is not installed its test is skipped by name. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

import { schemasFound } from './azure/schemas.ts';
import { FAKE_SUBSCRIPTION, startAzure } from './azure/service.ts';
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

const AZURE = `
import json, os
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.identity import ClientSecretCredential
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.resource import ResourceManagementClient
url, ca, sub = (os.environ[k] for k in ('ARM', 'CA', 'SUBSCRIPTION'))
# Any other tenant makes this library ask login.microsoftonline.com whether the login server is one of Microsoft's.
def client(kind, secret='fake-secret'):
    who = ClientSecretCredential('adfs', 'client', secret, authority=url, connection_verify=ca, retry_total=0)
    return kind(who, sub, base_url=url, credential_scopes=[url + '/.default'], connection_verify=ca, polling_interval=0.05, retry_total=0)
def error(act):
    try: act()
    except ClientAuthenticationError as e: return 'AADSTS7000215' if 'AADSTS7000215' in str(e) else str(e)
    except HttpResponseError as e: return [e.status_code, e.error.code]
compute, network, groups = (client(k) for k in (ComputeManagementClient, NetworkManagementClient, ResourceManagementClient))
at = {'location': 'westeurope'}
secret = error(lambda: list(client(ResourceManagementClient, 'wrong').resource_groups.list()))
groups.resource_groups.create_or_update('rg', {**at, 'tags': {'team': 'blue'}})
tagged = [g.name for g in groups.resource_groups.list(filter="tagName eq 'team' and tagValue eq 'blue'")]
rule = dict(name='ssh', priority=100, direction='Inbound', access='Allow', protocol='Tcp', source_address_prefix='203.0.113.7', source_port_range='*', destination_address_prefix='*', destination_port_range='22')
nsg = network.network_security_groups.begin_create_or_update('rg', 'nsg', {**at, 'security_rules': [rule]}).result()
net = network.virtual_networks.begin_create_or_update('rg', 'net', {**at, 'address_space': {'address_prefixes': ['10.0.0.0/16']}, 'subnets': [{'name': 's', 'address_prefix': '10.0.0.0/17', 'network_security_group': {'id': nsg.id}}]}).result()
subnet = {'id': net.subnets[0].id}
pip = network.public_ip_addresses.begin_create_or_update('rg', 'pip', {**at, 'sku': {'name': 'Standard'}, 'public_ip_allocation_method': 'Static'}).result()
nic = network.network_interfaces.begin_create_or_update('rg', 'nic', {**at, 'ip_configurations': [{'name': 'ip', 'subnet': subnet, 'public_ip_address': {'id': pip.id}}]}).result()
storage = {'image_reference': dict(publisher='Debian', offer='debian-12', sku='12-gen2', version='latest'), 'os_disk': {'create_option': 'FromImage', 'delete_option': 'Delete'}}
linux = {'disable_password_authentication': True, 'ssh': {'public_keys': [{'path': '/home/belt/.ssh/authorized_keys', 'key_data': 'ssh-ed25519 AAAA x'}]}}
def machine(size): return {**at, 'hardware_profile': {'vm_size': size}, 'os_profile': {'computer_name': 'm1', 'admin_username': 'belt', 'linux_configuration': linux}, 'storage_profile': storage, 'network_profile': {'network_interfaces': [{'id': nic.id, 'delete_option': 'Delete'}]}}
vms = compute.virtual_machines
one = vms.begin_create_or_update('rg', 'm1', machine('Standard_B1s')).result()
def power(): return [s.code for s in vms.get('rg', 'm1', expand='instanceView').instance_view.statuses][-1]
powers = [power()]
vms.begin_deallocate('rg', 'm1').result()
powers.append(power())
snapshot = compute.snapshots.begin_create_or_update('rg', 's1', {**at, 'incremental': True, 'creation_data': {'create_option': 'Copy', 'source_resource_id': one.storage_profile.os_disk.managed_disk.id}}).result()
image = compute.images.begin_create_or_update('rg', 's1', {**at, 'hyper_v_generation': snapshot.hyper_v_generation, 'storage_profile': {'os_disk': {'os_type': 'Linux', 'os_state': 'Generalized', 'snapshot': {'id': snapshot.id}}}}).result()
copies = [[(s.name, s.disk_size_gb, s.provisioning_state, s.time_created.year > 2000) for s in compute.snapshots.list_by_resource_group('rg')], [i.name for i in compute.images.list_by_resource_group('rg')]]
compute.images.begin_delete('rg', 's1').result()
compute.snapshots.begin_delete('rg', 's1').result()
resized = vms.begin_update('rg', 'm1', {'hardware_profile': {'vm_size': 'Standard_B2s'}}).result().hardware_profile.vm_size
vms.begin_start('rg', 'm1').result()
powers.append(power())
errors = [secret, error(lambda: vms.begin_create_or_update('rg', 'm2', machine('Standard_B99'))), error(lambda: vms.get('rg', 'none')), error(lambda: vms.get('none', 'none'))]
card = {'name': 'nic', 'primary': True, 'ip_configurations': [{'name': 'ip', 'subnet': subnet, 'public_ip_address_configuration': {'name': 'pip', 'sku': {'name': 'Standard'}}}]}
profile = {'os_profile': {'computer_name_prefix': 'w', 'admin_username': 'belt', 'linux_configuration': linux}, 'storage_profile': storage, 'network_profile': {'network_api_version': '2020-11-01', 'network_interface_configurations': [card]}}
sets = compute.virtual_machine_scale_sets
workers = sets.begin_create_or_update('rg', 'w', {**at, 'orchestration_mode': 'Flexible', 'platform_fault_domain_count': 1, 'sku': {'name': 'Standard_B1s', 'tier': 'Standard', 'capacity': 130}, 'virtual_machine_profile': profile}).result()
members = list(vms.list('rg', filter="'virtualMachineScaleSet/id' eq '%s'" % workers.id))
counts = [len(members), len(list(vms.list_all())), len({p.ip_address for p in network.public_ip_addresses.list('rg')})]
memory = [c.value for k in compute.resource_skus.list(filter="location eq 'westeurope'") if k.name == 'Standard_B1s' for c in k.capabilities if c.name == 'MemoryGB']
used = [u.current_value for u in compute.usage.list('westeurope') if u.name.value == 'cores']
sets.begin_delete('rg', 'w').result()
vms.begin_delete('rg', 'm1').result()
left = [x.name for kind in (vms, network.network_interfaces, network.public_ip_addresses) for x in kind.list('rg')]
groups.resource_groups.begin_delete('rg').result()
print(json.dumps(dict(copies=copies, tagged=tagged, subnet=subnet['id'].rsplit('/', 3)[1:], guids=[len(x) for x in (one.vm_id, workers.unique_id, members[0].vm_id)], address=nic.ip_configurations[0].private_ip_address[:3], powers=powers, resized=resized, errors=errors, counts=counts, memory=memory, used=used, left=left, exists=groups.resource_groups.check_existence('rg'))))
`;

const azurePython = await pythonWith('azure.mgmt.compute, azure.mgmt.network, azure.mgmt.resource, azure.identity');
it.skipIf(azurePython === null || (!schemasFound && process.env['CI'] !== 'true'))('Azure’s SDK for Python (Debian’s python3-azure) on the Azure fake, login and all', async () => {
  const fake = await startAzure({ bootMs: 100 });
  const folder = mkdtempSync(path.join(tmpdir(), 'belt-azure-'));
  try {
    const ca = path.join(folder, 'ca.pem');
    writeFileSync(ca, fake.ca);
    expect(await say(azurePython as string, AZURE, { ARM: fake.url, CA: ca, SUBSCRIPTION: FAKE_SUBSCRIPTION })).toEqual({
      copies: [[['s1', 30, 'Succeeded', true]], ['s1']], tagged: ['rg'], subnet: ['net', 'subnets', 's'], guids: [36, 36, 36], address: '10.', powers: ['PowerState/running', 'PowerState/deallocated', 'PowerState/running'], resized: 'Standard_B2s',
      errors: ['AADSTS7000215', [400, 'InvalidParameter'], [404, 'ResourceNotFound'], [404, 'ResourceGroupNotFound']], counts: [130, 131, 131], memory: ['1'], used: [132], left: ['pip'], exists: false,
    });
    // The size that there is none of is against the schema too; nothing else is.
    expect(fake.violations.map((text) => text.split(':')[0])).toEqual(['PUT Microsoft.Compute/virtualMachines/m2']);
  } finally {
    await fake.close();
    rmSync(folder, { recursive: true });
  }
}, 90_000);
