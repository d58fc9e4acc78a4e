import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { Claims } from '../../drivers/generic/claims.ts';
import { createDriver } from '../../drivers/generic/driver.ts';
import { GenericOptions } from '../../drivers/generic/options.ts';
import type { Created, CreateOrder, Driver } from '../../src/provision/driver.ts';
import { type FakeHosts, startHosts } from '../fakes/hosts.ts';

const never = new AbortController().signal;
const CLUSTER = { cluster: 'site', clusterId: '0123456789abcdef0123456789abcdef' };

function order(names: readonly string[], more: Partial<CreateOrder> = {}): CreateOrder {
  const machines = names.map((name) => ({ name, region: 'generic', zone: null }));
  return { ...CLUSTER, id: 'a1', machines, type: 'any', memoryMb: null, image: null, sshPublicKeys: [], userData: null, tags: {}, spot: false, ...more };
}

async function create(driver: Driver, asked: CreateOrder): Promise<string[]> {
  const lines: string[] = [];
  for await (const one of driver.create(asked, never) as AsyncIterable<Created>) lines.push('failed' in one ? `${one.failed}: ${one.error.code}: ${one.error.message}` : `${one.name} on ${one.id}`);
  return lines.sort();
}

describe('what the block of generic hosts may say', () => {
  const read = (block: unknown): unknown => {
    const result = v.safeParse(GenericOptions, block);
    return result.success ? result.output.hosts : result.issues.map((issue) => `${v.getDotPath(issue)}: ${issue.message}`);
  };
  it.each([
    ['an address', ['10.0.0.1'], [{ address: '10.0.0.1' }]],
    ['user and port', ['admin@10.0.0.1:2222'], [{ address: '10.0.0.1', user: 'admin', port: 2222 }]],
    ['a block', [{ name: 'mg0', address: '10.0.0.1', region: 'rack1', memory_mb: 512 }], [{ name: 'mg0', address: '10.0.0.1', region: 'rack1', memory_mb: 512 }]],
    ['an address that is none', ['10.0.0.256'], ['hosts.0.address: must be an IPv4 address such as 203.0.113.7']],
    ['a host name', ['db.example.com'], ['hosts.0: must be [USER@]ADDRESS[:PORT], or a block with address:']],
    ['an unknown key', [{ address: '10.0.0.1', prot: 22 }], ['hosts.0.prot: Invalid key: Expected never but received "prot"']],
    ['a port twice', ['10.0.0.1', 'root@10.0.0.1:22'], ['hosts: must name each address and port once']],
    ['a name twice', [{ name: 'a', address: '10.0.0.1' }, { name: 'a', address: '10.0.0.2' }], ['hosts: must give each name once']],
  ])('%s', (_title, hosts, expected) => {
    expect(read({ hosts })).toEqual(expected);
  });
  it('reads again what it gave', () => {
    const once = v.parse(GenericOptions, { hosts: ['admin@10.0.0.1:2222'] });
    expect(v.parse(GenericOptions, once)).toEqual(once);
  });
});

describe('hosts that exist already', () => {
  let home: string;
  let hosts: FakeHosts;
  beforeEach(async () => {
    home = mkdtempSync(path.join(tmpdir(), 'belt-generic-'));
    hosts = await startHosts(4, '91.8');
  });
  afterEach(async () => {
    await hosts.close();
    rmSync(home, { recursive: true, force: true });
  });
  const driver = (listed: object[]): Driver => createDriver(v.parse(GenericOptions, { hosts: listed.map((host) => ({ port: hosts.port, ...host })), home, timeout: 2 }));
  const at = (n: number): { address: string } => ({ address: hosts.addresses[n] as string });

  it('a host with a name becomes that machine and no other', async () => {
    const made = await create(driver([at(0), { ...at(1), name: 'mg0' }]), order(['mg0', 'node1', 'node2']));
    expect(made).toEqual([`mg0 on ${hosts.addresses[1]}:${hosts.port}`, `node1 on ${hosts.addresses[0]}:${hosts.port}`, 'node2: driver_capacity: no free host is left that is as asked']);
  });

  it('takes only hosts of the region and size that were asked for, the smallest first', async () => {
    const all = [{ ...at(0), memory_mb: 4096 }, { ...at(1), memory_mb: 1024 }, { ...at(2), memory_mb: 512 }, { ...at(3), region: 'rack2', memory_mb: 1024 }];
    const asked = order(['a'], { memoryMb: 1024, type: '1024mb' });
    expect(await create(driver(all), asked)).toEqual([`a on ${hosts.addresses[1]}:${hosts.port}`]);
    const inRack2 = { ...asked, machines: [{ name: 'b', region: 'rack2', zone: null }, { name: 'c', region: 'rack2', zone: null }] };
    expect(await create(driver(all), inRack2)).toEqual([`b on ${hosts.addresses[3]}:${hosts.port}`, 'c: driver_capacity: no free host is left that is as asked']);
  });

  it('half of them down: the others are adopted, each silent one is told of', async () => {
    await hosts.down(at(0).address);
    await hosts.down(at(1).address);
    const made = await create(driver([{ ...at(0), name: 'mg0' }, at(1), at(2), at(3)]), order(['mg0', 'node1', 'node2', 'node3']));
    expect(made[0]).toBe(`mg0: driver_unavailable: ${hosts.addresses[0]}:${hosts.port} refuses the connection`);
    expect(made.filter((line) => /^node\d on /.test(line))).toHaveLength(2);
    expect(made.filter((line) => line.endsWith(`: driver_capacity: no free host is left that is as asked; ${hosts.addresses[1]}:${hosts.port} refuses the connection`))).toHaveLength(1);
  });

  it('two clusters that ask at the same moment never get the same host', async () => {
    const listed = [at(0), at(1), at(2), at(3)];
    const other = order(['x', 'y', 'z'], { clusterId: 'f'.repeat(32) });
    const lines = (await Promise.all([create(driver(listed), order(['a', 'b', 'c'])), create(driver(listed), other)])).flat();
    const taken = lines.filter((line) => / on /.test(line)).map((line) => line.split(' on ')[1]);
    expect(new Set(taken).size).toBe(taken.length);
    expect(taken.length).toBe(4);
  });

  it('a host that goes down is off, one that left the list is still known, one that was given back is free', async () => {
    const all = driver([at(0), at(1)]);
    await create(all, order(['a', 'b']));
    await hosts.down(at(0).address);
    const seen = await driver([at(1)]).list(CLUSTER, never);
    expect(seen.map(({ name, status }) => `${name} ${status}`).sort()).toEqual(['a off', 'b active']);
    const b = seen.find(({ name }) => name === 'b')?.id as string;
    expect(await all.destroy([b], never)).toEqual([{ name: b, ok: true, value: undefined, note: 'forgotten; the host goes on running' }]);
    expect(await create(all, order(['c'], { clusterId: 'e'.repeat(32) }))).toEqual([`c on ${b}`]);
  });

  it('several damaged claims are one error', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'belt-claims-'));
    try {
      for (const name of ['a', 'b', 'c']) writeFileSync(path.join(folder, `${name}.json`), '{');
      await expect(new Claims(folder).all()).rejects.toMatchObject({ code: 'driver', message: expect.stringContaining('is damaged') });
      // A rejection that nobody waited for would end the process on this turn.
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('says what it cannot do and what to do instead', async () => {
    const outcomes = [...(await driver([at(0)]).power(['10.0.0.1:22'], 'stop', never)), ...(await driver([at(0)]).resize(['10.0.0.1:22'], '1gb', never))];
    expect(outcomes.map((outcome) => (outcome.ok ? '' : `${outcome.error.message} → ${outcome.error.next}`))).toEqual([
      'belt cannot stop a host that it did not make → belt ssh NAME sudo poweroff',
      'belt cannot resize a host that it did not make → adopt a larger one',
    ]);
    expect((await driver([]).validate(never))[0]?.message).toBe('no hosts are listed');
  });
});
