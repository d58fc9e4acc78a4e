/** How the fake subscription's resources look in replies. */
import { sizeOf, type Body, type Resource, type Subscription } from './state.ts';

export function provisioningState(sub: Subscription, r: Resource): string {
  if (sub.now() < r.doneMs) return 'Creating';
  return r.failure === null ? 'Succeeded' : 'Failed';
}

/** Parts of a resource that have ids of their own, by property. */
const PARTS = ['subnets', 'securityRules', 'ipConfigurations'];

/** A resource with what the platform fills in. */
export function renderResource(sub: Subscription, r: Resource, expandView: boolean): Body {
  const properties: Body = { ...(r.body['properties'] as Body | undefined), provisioningState: provisioningState(sub, r) };
  for (const part of PARTS) {
    const members = properties[part] as { name?: string }[] | undefined;
    if (members !== undefined) properties[part] = members.map((member) => ({ ...member, id: `${r.id}/${part}/${member.name}` }));
  }
  if (r.type === 'Microsoft.Compute/virtualMachineScaleSets') properties['uniqueId'] = r.unique;
  if (r.type === 'Microsoft.Compute/virtualMachines') {
    properties['vmId'] = r.unique;
    properties['timeCreated'] = new Date(r.createdMs).toISOString();
    if (expandView) properties['instanceView'] = instanceView(sub, r);
  }
  return { ...r.body, id: r.id, name: r.name, type: r.type, properties };
}

export function instanceView(sub: Subscription, r: Resource): Body {
  const state = provisioningState(sub, r);
  const failed = r.failure === null ? [] : [{ code: `ProvisioningState/failed/${r.failure.code}`, level: 'Error', displayStatus: 'Provisioning failed', message: r.failure.message }];
  const power = state === 'Creating' ? [{ code: 'PowerState/starting', level: 'Info', displayStatus: 'VM starting' }] : [{ code: `PowerState/${r.power}`, level: 'Info', displayStatus: `VM ${r.power}` }];
  return { computerName: r.name, statuses: [...(failed.length > 0 ? failed : [{ code: `ProvisioningState/${state === 'Creating' ? 'creating' : 'succeeded'}`, level: 'Info', displayStatus: state }, ...power])] };
}

export function renderGroup(sub: Subscription, g: { name: string; location: string; tags: Body; deleteAtMs: number | null }): Body {
  return {
    id: `/subscriptions/${sub.id}/resourceGroups/${g.name}`, name: g.name, type: 'Microsoft.Resources/resourceGroups', location: g.location, tags: g.tags,
    properties: { provisioningState: g.deleteAtMs === null ? 'Succeeded' : 'Deleting' },
  };
}

type IpConfiguration = { name?: string; properties?: Body };
type InterfaceConfiguration = { name: string; properties?: { primary?: boolean; deleteOption?: string; ipConfigurations?: IpConfiguration[]; networkSecurityGroup?: Body } };

/** Fills the addresses of an interface in, as the platform does when it is made. */
export function settleInterface(sub: Subscription, body: Body): void {
  const properties = body['properties'] as { ipConfigurations?: IpConfiguration[] };
  for (const config of properties.ipConfigurations ?? []) {
    config.properties = { privateIPAddress: sub.nextAddress('private'), privateIPAllocationMethod: 'Dynamic', ...config.properties };
  }
}

/** A scale set in Flexible mode grown to its capacity: members are ordinary machines with interfaces and addresses of their own. */
export function growScaleSet(sub: Subscription, set: Resource): { code: string; message: string } | null {
  const capacity = Number((set.body['sku'] as Body | undefined)?.['capacity'] ?? 0);
  const size = String((set.body['sku'] as Body | undefined)?.['name'] ?? '');
  const members = sub.list(set.group, 'Microsoft.Compute/virtualMachines').filter((vm) => belongsTo(vm, set));
  const missing = capacity - members.length;
  if (missing <= 0) return null;
  const given = sub.takeCapacity(size, missing);
  for (let n = 0; n < given; n += 1) addMember(sub, set, size);
  return given < missing ? { code: 'AllocationFailed', message: `Allocation failed. We do not have sufficient capacity for the requested VM size ${size} in this region.` } : null;
}

export function belongsTo(vm: Resource, set: Pick<Resource, 'id'>): boolean {
  const link = (vm.body['properties'] as { virtualMachineScaleSet?: { id?: string } }).virtualMachineScaleSet?.id;
  return link?.toLowerCase() === set.id.toLowerCase();
}

function addMember(sub: Subscription, set: Resource, size: string): void {
  const profile = (set.body['properties'] as Body)['virtualMachineProfile'] as Body;
  const osProfile = profile['osProfile'] as Body;
  const name = `${set.name}_${sub.suffix()}`;
  const network = profile['networkProfile'] as { networkInterfaceConfigurations?: InterfaceConfiguration[] };
  const interfaces = (network.networkInterfaceConfigurations ?? []).map((config) => {
    const nic: Body = { location: set.body['location'], properties: structuredClone(config.properties ?? {}) };
    for (const ip of (nic['properties'] as { ipConfigurations: IpConfiguration[] }).ipConfigurations) memberAddress(sub, set, name, ip);
    settleInterface(sub, nic);
    const { resource } = sub.put(set.group, 'Microsoft.Network/networkInterfaces', `${config.name}-${name}`, nic);
    return { id: resource.id, properties: { primary: config.properties?.primary ?? true, deleteOption: 'Delete' } };
  });
  const body: Body = {
    location: set.body['location'], tags: { ...(set.body['tags'] as Body) },
    ...(Array.isArray(set.body['zones']) ? { zones: [(set.body['zones'] as string[])[0]] } : {}),
    properties: {
      hardwareProfile: { vmSize: size },
      storageProfile: profile['storageProfile'],
      osProfile: { ...osProfile, computerName: `${String(osProfile['computerNamePrefix'])}${sub.suffix()}`, computerNamePrefix: undefined },
      networkProfile: { networkInterfaces: interfaces },
      virtualMachineScaleSet: { id: set.id },
    },
  };
  sub.put(set.group, 'Microsoft.Compute/virtualMachines', name, body);
}

function memberAddress(sub: Subscription, set: Resource, member: string, ip: IpConfiguration): void {
  const wanted = ip.properties?.['publicIPAddressConfiguration'] as { name?: string } | undefined;
  if (wanted === undefined) return;
  const { resource } = sub.put(set.group, 'Microsoft.Network/publicIPAddresses', `${wanted.name ?? 'pip'}-${member}`, {
    location: set.body['location'], sku: { name: 'Standard' }, properties: { publicIPAllocationMethod: 'Static', ipAddress: sub.nextAddress('public') },
  });
  const { publicIPAddressConfiguration: _, ...rest } = ip.properties as Body;
  ip.properties = { ...rest, publicIPAddress: { id: resource.id, properties: { deleteOption: 'Delete' } } };
}

/** The vCPUs that `count` more machines of a body's size need. */
export function coresOf(body: Body, count: number): number {
  return (sizeOf(body)?.vcpus ?? 0) * count;
}
