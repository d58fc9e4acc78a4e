import fc from '../../property.ts';
import { describe, expect, test } from 'vitest';

import { allocate, formatSubnet, freeSubnets, numberToAddress, addressToNumber, parseSubnet, slicesOf } from '../../../drivers/docker/addresses.ts';

const network = parseSubnet('198.18.16.0/20');

describe('addresses', () => {
  test('numbers and addresses are each other’s reverse', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (number) => addressToNumber(numberToAddress(number)) === number));
  });

  test.each(['', '1.2.3', '1.2.3.256', 'a.b.c.d'])('%j is no address', (text) => {
    expect(() => addressToNumber(text)).toThrow(/not an IPv4 address/);
  });

  test('a subnet is brought to its own boundary', () => {
    expect(formatSubnet(parseSubnet('198.18.17.5/20'))).toBe('198.18.16.0/20');
    expect(() => parseSubnet('198.18.0.0')).toThrow(/subnet/);
  });

  test('free subnets touch nothing that is taken, whichever is larger', () => {
    const taken = [parseSubnet('198.18.0.0/20'), parseSubnet('198.18.35.0/24'), parseSubnet('172.17.0.0/16')];
    const free = [...freeSubnets(parseSubnet('198.18.0.0/18'), 20, taken)].map(formatSubnet);
    expect(free).toEqual(['198.18.16.0/20', '198.18.48.0/20']);
    expect([...freeSubnets(parseSubnet('198.18.0.0/18'), 20, [parseSubnet('198.0.0.0/8')])]).toEqual([]);
  });
});

describe('allocate', () => {
  test('each region has slices of its own; the gateway’s slice is nobody’s', () => {
    expect(allocate(network, [], ['a', 'b', 'a'])).toEqual(['198.18.17.1', '198.18.18.1', '198.18.17.2']);
  });

  test('holes are filled before a new slice is opened', () => {
    const machines = [{ region: 'a', address: '198.18.17.1' }, { region: 'a', address: '198.18.17.3' }, { region: 'b', address: '198.18.18.9' }];
    expect(allocate(network, machines, ['a', 'a', 'b', 'c'])).toEqual(['198.18.17.2', '198.18.17.4', '198.18.18.1', '198.18.19.1']);
  });

  test('a region that outgrows a slice takes another; both are cut off together', () => {
    const wanted = Array.from({ length: 255 }, () => 'a');
    const addresses = allocate(network, [], wanted);
    expect(addresses[253]).toBe('198.18.17.254');
    expect(addresses[254]).toBe('198.18.18.1');
    expect(slicesOf('a', addresses.map((address) => ({ region: 'a', address })))).toEqual(['198.18.17.0/24', '198.18.18.0/24']);
  });

  test('whatever is asked for: no address twice, no slice with two regions, never past the network', () => {
    const regions = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 400 });
    fc.assert(fc.property(regions, regions, (first, second) => {
      const before = allocate(network, [], first).map((address, index) => ({ region: first[index] ?? '', address }));
      const all = [...before, ...allocate(network, before, second).map((address, index) => ({ region: second[index] ?? '', address }))];
      expect(new Set(all.map((machine) => machine.address)).size).toBe(all.length);
      const owners = new Map<string, string>();
      for (const { region, address } of all) {
        const slice = address.replace(/\.\d+$/, '');
        expect(owners.get(slice) ?? region).toBe(region);
        owners.set(slice, region);
        expect(addressToNumber(address) - network.base).toBeLessThan(4096);
        expect(addressToNumber(address) - network.base).toBeGreaterThan(255);
      }
    }), { numRuns: 50 });
  });

  test('a full network is said, with the region', () => {
    const regions = Array.from({ length: 16 }, (_, index) => `r${index}`);
    expect(() => allocate(network, [], regions)).toThrow(expect.objectContaining({ code: 'driver_capacity', message: expect.stringContaining('r15') }));
  });
});
