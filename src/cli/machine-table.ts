/** Machines as `create` and `ls` show them. */
import type { Machine } from '../provision/driver.ts';
import type { Column } from '../ui/table.ts';

export const MACHINE_COLUMNS: readonly Column[] = [
  { heading: 'NAME' }, { heading: 'IPv4' }, { heading: 'MEMORY', numeric: true }, { heading: 'REGION' }, { heading: 'IMAGE' }, { heading: 'STATUS' },
];

export function machineRow(machine: Machine): string[] {
  return [machine.name, machine.publicIpv4 ?? machine.privateIpv4 ?? '', machine.memoryMb === null ? '' : String(machine.memoryMb), machine.region, machine.image ?? '', machine.status];
}

/** Exactly the fields scripts may use, in their order, whatever else a driver's object carries. */
export function machineDocument(machine: Machine): Machine {
  const { name, driver, id, status, publicIpv4, privateIpv4, sshPort, sshUser, memoryMb, region, datacenter, image, size, createdAt, tags } = machine;
  return { name, driver, id, status, publicIpv4, privateIpv4, sshPort, sshUser, memoryMb, region, datacenter, image, size, createdAt, tags };
}
