/** The types Azure offers in a location. */
import type { MachineType } from '../../src/provision/driver.ts';
import type { AzureApi } from './api.ts';

/** Smallest first. Prices are not in this API; the burstable B family is the cheapest of its sizes, so that a plain memory size means it. */
export async function listTypes(api: AzureApi, location: string, signal: AbortSignal): Promise<MachineType[]> {
  const skus = await api.all('listVm', () => api.compute.resourceSkus.list({ filter: `location eq '${location}'`, abortSignal: signal }), signal);
  const table: MachineType[] = [];
  for (const sku of skus) {
    const capability = (name: string): string | undefined => sku.capabilities?.find((c) => c.name === name)?.value;
    const barred = (sku.restrictions ?? []).some((restriction) => restriction.type === 'Location');
    if (sku.resourceType !== 'virtualMachines' || sku.name === undefined || barred || (capability('CpuArchitectureType') ?? 'x64') !== 'x64') continue;
    table.push({ name: sku.name, memoryMb: Math.round(Number(capability('MemoryGB')) * 1024), vcpus: Number(capability('vCPUs')), pricePerHour: null, regions: null });
  }
  const rank = (type: MachineType): number => (type.name.startsWith('Standard_B') ? 0 : 1);
  return table.sort((a, b) => a.memoryMb - b.memoryMb || rank(a) - rank(b) || a.vcpus - b.vcpus || a.name.localeCompare(b.name));
}
