/** How an order is cut into PUTs: machines of their own, or scale sets for many of one place. */
import type { VirtualMachineScaleSet } from '@azure/arm-compute';
import { BeltError } from '../../src/errors.ts';
import type { Created, CreateOrder, OrderedMachine } from '../../src/provision/driver.ts';
import { SET_MAX } from './machine-body.ts';
import { namesOf, type Sweep } from './sweep.ts';

/** Machines that are submitted together: one by name, or a scale set. */
export interface Job {
  readonly region: string;
  readonly zone: string | null;
  readonly machines: readonly OrderedMachine[];
  readonly set: boolean;
}

/** `setFrom`: from so many machines of one place on they are a scale set. */
export function jobsOf(missing: readonly OrderedMachine[], setFrom: number): Job[] {
  const jobs: Job[] = [];
  for (const [place, machines] of Map.groupBy(missing, (machine) => `${machine.region}/${machine.zone ?? ''}`)) {
    const [region = '', zone = ''] = place.split('/');
    const size = machines.length >= setFrom ? SET_MAX : 1;
    for (let at = 0; at < machines.length; at += size) jobs.push({ region, zone: zone === '' ? null : zone, machines: machines.slice(at, at + size), set: size > 1 });
  }
  return jobs;
}

/** The name says what it is for, so that the same order makes the same set again and never a second one. */
export function setName(order: CreateOrder, first: string): string {
  return `set-${order.id.slice(0, 12)}-${first}-${order.type.replaceAll('_', '-').toLowerCase()}`.slice(0, 64);
}

/** Names of a set of the type that failed and has no member for them; they are waited for no longer. */
export function* givenUp(sets: readonly VirtualMachineScaleSet[], type: string, sweep: Sweep, waiting: Set<string>): Iterable<Created> {
  const have = new Set(sweep.names.values());
  for (const set of sets) {
    if (set.provisioningState !== 'Failed' || set.sku?.name !== type) continue;
    for (const name of namesOf(set)) {
      if (!waiting.has(name) || have.has(name)) continue;
      waiting.delete(name);
      yield { failed: name, error: new BeltError('driver_capacity', `Azure has no more capacity for ${type} there`, { machine: name, next: 'try another size or location (belt sizes)' }) };
    }
  }
}
