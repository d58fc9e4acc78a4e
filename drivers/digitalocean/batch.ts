/** What a create call asks for: up to ten names of one region. */
import type { BeltError } from '../../src/errors.ts';
import type { CreateOrder, OrderedMachine } from '../../src/provision/driver.ts';
import type { CreateBody } from './api.ts';
import { BATCH } from './estimate.ts';
import type { DigitalOceanOptions } from './options.ts';
import { writeTags } from './tags.ts';

/** A region of an order. */
export interface Place {
  readonly vpc: string | undefined;
  readonly keys: readonly number[];
  /** Set once the region has no room, or the account no allowance, for one more. */
  exhausted: BeltError | undefined;
}

export function batchesOf(machines: readonly OrderedMachine[]): OrderedMachine[][] {
  return Array.from({ length: Math.ceil(machines.length / BATCH) }, (_, n) => machines.slice(n * BATCH, (n + 1) * BATCH));
}

/** Snapshots go by their number, public images by their slug. */
const imageOf = (image: string): string | number => (/^\d+$/.test(image) ? Number(image) : image);

export function bodyOf(order: CreateOrder, names: readonly string[], region: string, place: Place, options: DigitalOceanOptions): CreateBody {
  return {
    names,
    region,
    size: order.type,
    image: imageOf(order.image ?? options.image),
    ssh_keys: place.keys,
    tags: writeTags(order, order.id, order.tags),
    ...(place.vpc === undefined ? {} : { vpc_uuid: place.vpc }),
    ...(order.userData === null ? {} : { user_data: order.userData }),
    monitoring: options.monitoring,
    ipv6: options.ipv6,
  };
}
