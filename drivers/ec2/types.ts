/** The types EC2 offers. */
import type * as Sdk from '@aws-sdk/client-ec2';
import type { MachineType } from '../../src/provision/driver.ts';
import type { Ec2Region } from './api.ts';

/** Still called current by EC2, and dearer and slower than what followed; who wants one names it. */
const SUPERSEDED = /^t2\./;
const WANTED = { 'current-generation': 'true', 'processor-info.supported-architecture': 'x86_64', 'bare-metal': 'false' };

/** Smallest first. Prices are not in this API; the burstable t3 family is the cheapest of its sizes, so that a plain memory size means it. */
export async function listTypes(region: Ec2Region, signal: AbortSignal): Promise<MachineType[]> {
  const Filters = Object.entries(WANTED).map(([Name, value]) => ({ Name, Values: [value] }));
  const table: MachineType[] = [];
  let NextToken: string | undefined;
  do {
    const reply: Sdk.DescribeInstanceTypesCommandOutput = await region.call('describe', new region.sdk.DescribeInstanceTypesCommand({ Filters, MaxResults: 100, ...(NextToken === undefined ? {} : { NextToken }) }), signal);
    for (const { InstanceType: name, MemoryInfo, VCpuInfo } of reply.InstanceTypes ?? []) {
      const memoryMb = MemoryInfo?.SizeInMiB;
      const vcpus = VCpuInfo?.DefaultVCpus;
      if (name !== undefined && !SUPERSEDED.test(name) && memoryMb !== undefined && vcpus !== undefined) table.push({ name, memoryMb, vcpus, pricePerHour: null, regions: null });
    }
    NextToken = reply.NextToken;
  } while (NextToken !== undefined && NextToken !== '');
  const rank = (type: MachineType): number => (type.name.startsWith('t3.') ? 0 : 1);
  return table.sort((a, b) => a.memoryMb - b.memoryMb || rank(a) - rank(b) || a.vcpus - b.vcpus || a.name.localeCompare(b.name));
}
