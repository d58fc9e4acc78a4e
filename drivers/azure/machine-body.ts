/** The bodies of machines and scale sets. */
import type { VirtualMachine, VirtualMachineScaleSet } from '@azure/arm-compute';
import { BeltError } from '../../src/errors.ts';
import type { CreateOrder } from '../../src/provision/driver.ts';
import { encodeNames } from '../../src/provision/name-runs.ts';
import { imageReference } from './image.ts';
import { ownTags } from './network.ts';
import type { AzureOptions } from './options.ts';

/** Machines of one scale set (Flexible mode takes 1,000). */
export const SET_MAX = 1_000;
const CUSTOM_DATA_MAX = 65_535;
const TAG_VALUE_MAX = 256;
/** The newest network API a Flexible scale set's profile may name. */
const PROFILE_NETWORK_API = '2020-11-01';

export function orderTags(order: CreateOrder): Record<string, string> {
  return { ...order.tags, ...ownTags(order), 'belt.order': order.id };
}

function osProfile(order: CreateOrder, options: AzureOptions): { adminUsername: string; linuxConfiguration: object; customData?: string } {
  const customData = order.userData === null ? undefined : Buffer.from(order.userData, 'utf8');
  if (customData !== undefined && customData.length > CUSTOM_DATA_MAX) throw new BeltError('config', `the user data has ${customData.length} bytes, Azure takes ${CUSTOM_DATA_MAX}`);
  const publicKeys = order.sshPublicKeys.map((keyData) => ({ path: `/home/${options.ssh_user}/.ssh/authorized_keys`, keyData: keyData.trim() }));
  return { adminUsername: options.ssh_user, linuxConfiguration: { disablePasswordAuthentication: true, ssh: { publicKeys } }, ...(customData === undefined ? {} : { customData: customData.toString('base64') }) };
}

function storageProfile(order: CreateOrder, options: AzureOptions): NonNullable<VirtualMachine['storageProfile']> {
  return { imageReference: imageReference(order.image ?? options.image), osDisk: { createOption: 'FromImage', deleteOption: 'Delete' } };
}

/** One named machine with its interface, which goes when it goes. */
export function machineBody(order: CreateOrder, machine: { name: string; region: string; zone: string | null }, type: string, nicId: string, options: AzureOptions): VirtualMachine {
  return {
    location: machine.region,
    tags: { ...orderTags(order), 'belt.name': machine.name },
    ...(machine.zone === null ? {} : { zones: [machine.zone] }),
    hardwareProfile: { vmSize: type },
    storageProfile: storageProfile(order, options),
    osProfile: { computerName: machine.name, ...osProfile(order, options) },
    networkProfile: { networkInterfaces: [{ id: nicId, primary: true, deleteOption: 'Delete' }] },
    ...(order.spot ? { priority: 'Spot' as const, evictionPolicy: 'Delete' as const } : {}),
  };
}

/** A scale set for the names, which stand in its tags: its members have Azure's names until they are tagged with belt's. */
export function scaleSetBody(order: CreateOrder, names: readonly string[], place: { region: string; zone: string | null; subnet: string }, options: AzureOptions): VirtualMachineScaleSet {
  const address = options.public_addresses ? { publicIPAddressConfiguration: { name: 'ip', deleteOption: 'Delete', sku: { name: 'Standard' } } } : {};
  const { customData, ...os } = osProfile(order, options);
  return {
    location: place.region,
    tags: { ...orderTags(order), ...splitNames(names) },
    ...(place.zone === null ? {} : { zones: [place.zone] }),
    sku: { name: order.type, capacity: names.length },
    orchestrationMode: 'Flexible',
    platformFaultDomainCount: 1,
    virtualMachineProfile: {
      osProfile: { computerNamePrefix: 'belt', ...os, ...(customData === undefined ? {} : { customData }) },
      storageProfile: storageProfile(order, options) as object,
      networkProfile: {
        networkApiVersion: PROFILE_NETWORK_API,
        networkInterfaceConfigurations: [{ name: 'nic', primary: true, deleteOption: 'Delete', ipConfigurations: [{ name: 'ip', primary: true, subnet: { id: place.subnet }, ...address }] }],
      },
      ...(order.spot ? { priority: 'Spot' as const, evictionPolicy: 'Delete' as const } : {}),
    },
  };
}

/** Names over as many tags as they need. */
export function splitNames(names: readonly string[]): Record<string, string> {
  const tags: Record<string, string> = {};
  let rest = encodeNames(names).split(',');
  for (let n = 0; rest.length > 0; n += 1) {
    let take = 1;
    while (take < rest.length && rest.slice(0, take + 1).join(',').length <= TAG_VALUE_MAX) take += 1;
    tags[`belt.names.${n}`] = rest.slice(0, take).join(',');
    rest = rest.slice(take);
  }
  return tags;
}
