import { createServer } from 'node:net';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { ADDRESSES_PER_HOME, candidateAddress, reserveAddress, takeAddress } from '../../../drivers/local/addresses.ts';
import { localHome } from '../../../drivers/local/options.ts';
import { LOCAL_TYPES, memoryMbOf } from '../../../drivers/local/types.ts';

const PORT = 42_222;

test('every index of a home is another address, none of them a network or broadcast one', () => {
  const all = new Set(Array.from({ length: ADDRESSES_PER_HOME }, (_, index) => candidateAddress('/home/x', 1000, index)));
  expect(all.size).toBe(ADDRESSES_PER_HOME);
  for (const address of all) expect(address).toMatch(/^127\.([1-9]\d*)\.([1-9]\d*)\.([1-9]\d*)$/);
  expect(candidateAddress('/home/x', 1000, 0)).not.toBe(candidateAddress('/home/x', 1001, 0));
});

test('what another process holds is passed over: a reservation, a listener, an agent that runs', async () => {
  const home = '/conformance/of/addresses';
  const [first, second, third, fourth, fifth] = [0, 1, 2, 3, 4].map((index) => candidateAddress(home, 1, index)) as [string, string, string, string, string];
  const held = await reserveAddress(first, PORT);
  expect(await reserveAddress(first, PORT)).toBe(undefined);
  const servers = [[second, PORT], [third, 2378]].map(([host, port]) => createServer().listen({ host: host as string, port: port as number }));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const taken = await takeAddress(home, 1, PORT, new Set([fourth]), 0);
  expect(taken.address).toBe(fifth);
  await taken.release();
  await held?.release();
  for (const server of servers) server.close();
});

test.each([
  [{ home: '/a' }, { BELT_LOCAL_HOME: '/b' }, '/a'],
  [{}, { BELT_LOCAL_HOME: '/b', XDG_STATE_HOME: '/s' }, '/b'],
  [{}, { XDG_STATE_HOME: '/s', HOME: '/h' }, '/s/belt/local'],
  [{}, { HOME: '/h' }, '/h/.local/state/belt/local'],
])('home of %j in %j is %s', (options, env, home) => expect(localHome(options, env)).toBe(home));

test.each([['512mb', 512], ['8192MB', 8192], ['16gb', 16_384], ['1GB', 1024]])('%s is %i MB', (size, memoryMb) => expect(memoryMbOf(size)).toBe(memoryMb));
test.each(['', '0gb', 'gb', '8', 's-1vcpu-1gb', '1.5gb', '-1gb'])('%j is no size', (size) => expect(() => memoryMbOf(size)).toThrow('local machines have no size'));
test('every type on offer is a size', () => {
  for (const { name, memoryMb } of LOCAL_TYPES) expect(memoryMbOf(name)).toBe(memoryMb);
});
