/** A virtual machine as a machine. Its id is `group/name`. */
import type { VirtualMachine } from '@azure/arm-compute';
import type { Machine, MachineStatus, MachineType } from '../../src/provision/driver.ts';
import { imageOf } from './image.ts';
import type { Sweep } from './sweep.ts';

/** What a virtual machine does not say itself. */
export interface MachineFacts {
  readonly group: string;
  readonly sshUser: string;
  /** Undefined before the types were listed: their memory is not known then. */
  readonly types: readonly MachineType[] | undefined;
}

export function machineOf(vm: VirtualMachine, name: string, facts: MachineFacts, sweep: Sweep): Machine {
  const size = vm.hardwareProfile?.vmSize ?? '';
  const zone = vm.zones?.[0];
  const { belt: _belt, 'belt.name': _name, ...tags } = vm.tags ?? {};
  return {
    name,
    driver: 'azure',
    id: `${facts.group}/${vm.name}`,
    status: statusOf(vm, sweep.power.get((vm.id ?? '').toLowerCase()) ?? []),
    ...(sweep.addresses.get(vm.name as string) ?? { publicIpv4: null, privateIpv4: null }),
    sshPort: 22,
    sshUser: facts.sshUser,
    memoryMb: facts.types?.find((type) => type.name === size)?.memoryMb ?? null,
    region: vm.location ?? '',
    datacenter: `azure:${vm.location}${zone === undefined ? '' : `/${zone}`}`,
    image: imageOf(vm),
    size,
    createdAt: vm.timeCreated?.toISOString() ?? null,
    tags: Object.fromEntries(Object.entries(tags).filter(([key]) => !key.startsWith('belt.names'))),
  };
}

export function placeOf(id: string): { group: string; name: string } {
  const [group = '', name = ''] = id.split('/');
  return { group, name };
}

function statusOf(vm: VirtualMachine, codes: readonly string[]): MachineStatus {
  if (vm.provisioningState === 'Failed') return 'error';
  if (vm.provisioningState === 'Creating') return 'new';
  const power = codes.find((code) => code.startsWith('PowerState/'))?.split('/')[1];
  if (power === 'running') return 'active';
  if (power === 'stopped' || power === 'deallocated') return 'off';
  return power === 'starting' ? 'new' : 'unknown';
}
