import { describe, expect, it } from 'vitest';

import type { MachineType } from '../../src/provision/driver.ts';
import { memoryOfSize, resolveSize } from '../../src/provision/sizes.ts';

const type = (name: string, memoryMb: number, vcpus: number, pricePerHour: number | null, regions: string[] | null = null): MachineType => ({ name, memoryMb, vcpus, pricePerHour, regions });
const TYPES = [
  type('s-half', 512, 1, 0.006, ['nyc1', 'fra1']), type('s-1', 1024, 1, 0.009), type('c-1', 1024, 2, 0.008), type('s-8-dear', 8192, 4, 0.09), type('s-8', 8192, 4, 0.07),
  type('s-8-unpriced', 8192, 4, null), type('s-16', 16_384, 8, 0.1),
];

describe('sizes', () => {
  it.each<[string, number | null]>([
    ['512mb', 512], ['8192MB', 8192], ['16gb', 16_384], ['1.5g', 1536], ['1GiB', 1024], ['2 gb', 2048], ['512m', 512],
    ['s-2vcpu-4gb', null], ['t3.large', null], ['Standard_D4s_v5', null], ['c-4', null], ['m-2vcpu-16gb', null], ['gb', null], ['-1gb', null],
  ])('%s is %s MB', (size, memoryMb) => expect(memoryOfSize(size)).toBe(memoryMb));

  it.each<[string, string[], string]>([
    ['512mb', ['nyc1'], 's-half'],
    ['512mb', ['sgp1'], 's-1'],
    ['512mb', ['nyc1', 'fra1'], 's-half'],
    ['512mb', ['nyc1', 'sgp1'], 's-1'],
    ['600mb', [], 's-1'],
    ['8192MB', [], 's-8'],
    ['8gb', [], 's-8'],
    ['9gb', [], 's-16'],
    ['c-1', [], 'c-1'],
    ['x-unknown', [], 'x-unknown'],
  ])('%s in %j is %s', (size, regions, expected) => expect(resolveSize(TYPES, size, regions).type).toBe(expected));

  it('nothing is large enough', () => {
    expect(() => resolveSize(TYPES, '32gb', ['nyc1'])).toThrow('no type in nyc1 has 32768 MB of memory; the largest has 16384 MB');
  });
});
