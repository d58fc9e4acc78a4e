import { ComputeManagementClient } from '@azure/arm-compute';
import { NetworkManagementClient } from '@azure/arm-network';
import { ResourceManagementClient } from '@azure/arm-resources';
import { ClientSecretCredential } from '@azure/identity';
import { afterEach, describe, expect, it } from 'vitest';
import { schemasFound } from './azure/schemas.ts';
import { FAKE_SUBSCRIPTION, FAKE_TENANT, startAzure, type AzureFake } from './azure/service.ts';
import type { SubscriptionOptions } from './azure/state.ts';

const present = schemasFound || process.env['CI'] === 'true';

describe.skipIf(!present)('the Azure fake (needs ../shared/reference/azure-arm-put-schemas.json)', () => {
  let fake: AzureFake;
  let compute: ComputeManagementClient;
  let network: NetworkManagementClient;
  let resources: ResourceManagementClient;
  afterEach(() => fake.close());

  async function start(options: Partial<SubscriptionOptions> = {}, secret = 'fake-secret'): Promise<void> {
    fake = await startAzure(options);
    const trust = { tlsOptions: { ca: fake.ca } };
    const credential = new ClientSecretCredential(FAKE_TENANT, 'client', secret, { authorityHost: fake.url, disableInstanceDiscovery: true, ...trust });
    const client = { endpoint: fake.url, retryOptions: { maxRetries: 0 }, ...trust };
    compute = new ComputeManagementClient(credential, FAKE_SUBSCRIPTION, client);
    network = new NetworkManagementClient(credential, FAKE_SUBSCRIPTION, client);
    resources = new ResourceManagementClient(credential, FAKE_SUBSCRIPTION, client);
  }
  const location = 'westeurope';
  const soon = { updateIntervalInMs: 20 };
  const machine = (size = 'Standard_B1s') => ({ location, hardwareProfile: { vmSize: size }, osProfile: { computerName: 'vm', adminUsername: 'belt' }, storageProfile: { osDisk: { createOption: 'FromImage' } }, networkProfile: { networkInterfaces: [] } });

  it('makes a machine by name, through a long-running operation, and takes its interface along when it goes', async () => {
    await start();
    await resources.resourceGroups.createOrUpdate('rg', { location });
    const vnet = await network.virtualNetworks.beginCreateOrUpdateAndWait('rg', 'net', { location, addressSpace: { addressPrefixes: ['10.0.0.0/16'] } }, soon);
    const nic = await network.networkInterfaces.beginCreateOrUpdateAndWait('rg', 'nic', { location, ipConfigurations: [{ name: 'ip', subnet: { id: `${vnet.id}/subnets/s` } }] }, soon);
    const vm = await compute.virtualMachines.beginCreateOrUpdateAndWait('rg', 'vm', { ...machine(), networkProfile: { networkInterfaces: [{ id: nic.id as string, deleteOption: 'Delete' }] } }, soon);
    expect([vm.provisioningState, nic.ipConfigurations?.[0]?.privateIPAddress]).toEqual(['Succeeded', expect.stringMatching(/^10\./)]);
    await compute.virtualMachines.beginDeleteAndWait('rg', 'vm', soon);
    await expect(network.networkInterfaces.get('rg', 'nic')).rejects.toMatchObject({ statusCode: 404, code: 'ResourceNotFound' });
    expect(fake.violations).toEqual([]);
  });

  it('refuses a body that the schema refuses, and a machine without a location', async () => {
    await start();
    await resources.resourceGroups.createOrUpdate('rg', { location });
    const wrong = { ...machine(), storageProfile: { osDisk: { createOption: 'Nonsense' } } };
    await expect(compute.virtualMachines.beginCreateOrUpdate('rg', 'vm', wrong)).rejects.toMatchObject({ statusCode: 400, code: 'InvalidParameter' });
    expect(fake.violations).toHaveLength(1);
  });

  it('tells a quota at once and a lack of capacity at the end', async () => {
    await start({ coreQuota: 1, capacity: new Map([['Standard_B1s', 0]]) });
    await resources.resourceGroups.createOrUpdate('rg', { location });
    await expect(compute.virtualMachines.beginCreateOrUpdate('rg', 'big', machine('Standard_B4ms'))).rejects.toMatchObject({ statusCode: 409, code: 'OperationNotAllowed' });
    await expect(compute.virtualMachines.beginCreateOrUpdateAndWait('rg', 'vm', machine(), soon)).rejects.toThrow(/AllocationFailed/);
  });

  it('grows a scale set in Flexible mode to its capacity, members with addresses of their own, in pages', async () => {
    await start({ capacity: new Map([['Standard_B1s', 150]]) });
    await resources.resourceGroups.createOrUpdate('rg', { location });
    const set = {
      location, orchestrationMode: 'Flexible' as const, platformFaultDomainCount: 1, sku: { name: 'Standard_B1s', capacity: 120 },
      virtualMachineProfile: {
        osProfile: { computerNamePrefix: 'w', adminUsername: 'belt' },
        storageProfile: { osDisk: { createOption: 'FromImage' } },
        networkProfile: { networkApiVersion: '2020-11-01' as const, networkInterfaceConfigurations: [{ name: 'nic', primary: true, ipConfigurations: [{ name: 'ip', subnet: { id: '/s' }, publicIPAddressConfiguration: { name: 'pip' } }] }] },
      },
    };
    await compute.virtualMachineScaleSets.beginCreateOrUpdateAndWait('rg', 'workers', set, soon);
    const names = new Set<string | undefined>();
    for await (const vm of compute.virtualMachines.list('rg')) names.add(vm.name);
    expect(names.size).toBe(120);
    const addresses = new Set<string | undefined>();
    for await (const pip of network.publicIPAddresses.list('rg')) addresses.add(pip.ipAddress);
    expect(addresses.size).toBe(120);
    await expect(compute.virtualMachineScaleSets.beginCreateOrUpdateAndWait('rg', 'workers', { ...set, sku: { ...set.sku, capacity: 200 } }, soon)).rejects.toThrow(/AllocationFailed/);
    expect(fake.violations).toEqual([]);
  });

  it('throttles with Retry-After, and refuses a wrong secret', async () => {
    const hand = { now: 1_000_000 };
    await start({ clock: () => hand.now });
    await resources.resourceGroups.createOrUpdate('rg', { location });
    fake.subscription.buckets['listVm']?.take(900);
    await expect(compute.virtualMachines.list('rg').next()).rejects.toMatchObject({ statusCode: 429 });
    expect(fake.throttled()).toBe(1);
    await fake.close();
    await start({}, 'wrong');
    await expect(resources.resourceGroups.createOrUpdate('rg', { location })).rejects.toThrow(/AADSTS7000215/);
  });
});
