import fc from '../property.ts';
import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createDriver } from '../../drivers/ec2/driver.ts';
import { batchesOf, clientToken } from '../../drivers/ec2/launch.ts';
import { permissions } from '../../drivers/ec2/network.ts';
import { Ec2Options } from '../../drivers/ec2/options.ts';
import { decodeNames, encodeNames } from '../../src/provision/name-runs.ts';
import { type Created, type CreateOrder, type Driver, ListedInPart, type Machine } from '../../src/provision/driver.ts';
import { startEc2, type Ec2Fake } from '../fakes/ec2/service.ts';
import type { RegionOptions } from '../fakes/ec2/state.ts';
import { motoFound, startMoto, type Moto } from '../fakes/moto.ts';
import { scaledPace } from './scaled-pace.ts';

const never = new AbortController().signal;
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKlPcpBnzv3sGwrkISTvVVkZvjlPZ3gMUmfe1AzkpYP9 belt';
const CLUSTER = { cluster: 'swarm2k', clusterId: '0123456789abcdef0123456789abcdef' };

function order(count: number, more: Partial<CreateOrder> = {}): CreateOrder {
  const machines = Array.from({ length: count }, (_, n) => ({ name: `node${n + 1}`, region: 'eu-west-1', zone: null }));
  return { ...CLUSTER, id: 'a1b2c3', machines, type: 't3.nano', memoryMb: 512, image: null, sshPublicKeys: [KEY], userData: null, tags: { purpose: 'test' }, spot: false, ...more };
}
async function create(driver: Driver, asked: CreateOrder, signal = never): Promise<{ made: Machine[]; failed: Extract<Created, { failed: string }>[] }> {
  const made: Machine[] = [];
  const failed: Extract<Created, { failed: string }>[] = [];
  for await (const created of driver.create(asked, signal)) 'failed' in created ? failed.push(created) : made.push(created);
  return { made, failed };
}

describe('batches', () => {
  const machine = (name: string, region = 'r', zone: string | null = null): { name: string; region: string; zone: string | null } => ({ name, region, zone });

  it('holds a hundred of one region and zone', () => {
    const batches = batchesOf(Array.from({ length: 250 }, (_, n) => machine(`n${n}`, n % 2 === 0 ? 'a' : 'b')));
    expect(batches.map((b) => [b.region, b.names.length])).toEqual([['a', 100], ['b', 100], ['a', 25], ['b', 25]]);
  });

  it.each([
    [['node1', 'node2', 'node3'], 'node1+2'],
    [['node1', 'node4', 'node7'], 'node1+2/3'],
    [['node08', 'node09', 'node10'], 'node08+2'],
    [['node99', 'node100'], 'node99+1'],
    [['mg0', 'x', 'y'], 'mg0,x,y'],
    [['a1', 'b2'], 'a1,b2'],
  ])('%j are written %s', (names, text) => {
    expect([encodeNames(names), decodeNames(text)]).toEqual([text, names]);
  });

  it('reads back any names it writes, in a tag’s 256 characters', () => {
    const name = fc.tuple(fc.constantFrom('n', 'node', 'mg', 'a-b'), fc.nat(300), fc.nat(4)).map(([prefix, n, width]) => prefix + String(n).padStart(width, '0'));
    const check = (names: string[]): void => {
      for (const batch of batchesOf(names.map((n) => machine(n)))) {
        expect(decodeNames(encodeNames(batch.names))).toEqual(batch.names);
        expect(encodeNames(batch.names).length).toBeLessThanOrEqual(256);
      }
    };
    fc.assert(fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 120 }), check), { numRuns: 300 });
  });

  it('asks with the same token for the same machines, with another for any others', () => {
    const batch = { region: 'r', zone: null, names: ['a', 'b'] };
    expect(clientToken('o', batch, 't')).toBe(clientToken('o', { ...batch }, 't'));
    expect(new Set([clientToken('o', batch, 't'), clientToken('p', batch, 't'), clientToken('o', batch, 'u'), clientToken('o', { ...batch, names: ['a'] }, 't')]).size).toBe(4);
    expect(clientToken('o', batch, 't')).toHaveLength(64);
  });

  it('opens 22 and 2378 to anywhere when told to, 2376 and 2377 never', () => {
    const world = permissions('sg-1', ['anywhere']).filter((p) => p.IpRanges?.some((range) => range.CidrIp === '0.0.0.0/0'));
    expect(world.map((p) => p.FromPort)).toEqual([22, 2378]);
  });
});

describe('the ec2 driver on the fake', () => {
  let fake: Ec2Fake;
  afterEach(() => fake.close());
  async function start(more: Partial<RegionOptions> & { options?: object } = {}): Promise<Driver> {
    const pace = scaledPace(100);
    fake = await startEc2({ clock: pace.now, bootMs: 500, lagMs: 300, ...more });
    return createDriver(v.parse(Ec2Options, { access_key_id: 'AKIAFAKE', secret_access_key: 'x', region: 'eu-west-1', regions: ['eu-west-1'], endpoint: fake.url, allow_from: ['203.0.113.7'], ...more.options }), { pace });
  }

  it('asks for metadata by token only and one hop, with the cluster’s key and group', async () => {
    const driver = await start();
    await create(driver, order(2));
    const region = fake.region('eu-west-1');
    expect([...region.instances.values()].map((i) => [i.httpTokens, i.hopLimit, i.groups.length, i.key?.slice(0, 5)])).toEqual([['required', '1', 1, 'belt-'], ['required', '1', 1, 'belt-']]);
    expect([...region.groups.values()][0]?.rules).toHaveLength(9);
  });

  it('lets in the key pair of the account that the configuration names, and says where there is none', async () => {
    const named = await start({ options: { ssh_key_fingerprint: createHash('sha256').update(Buffer.from(KEY.split(' ')[1] as string, 'base64')).digest('base64') } });
    await expect(create(named, order(1))).resolves.toMatchObject({ made: [], failed: [{ error: { code: 'config', message: expect.stringMatching(/^no key pair of eu-west-1 has the fingerprint /) } }] });
    const region = fake.region('eu-west-1');
    region.keys.set('mine', { name: 'mine', id: 'key-1', text: KEY, tags: new Map() });
    await create(named, order(1));
    expect([[...region.instances.values()].map(({ key }) => key), [...region.keys.keys()]]).toEqual([['mine'], ['mine']]);
  });

  it('goes to another zone and type only where it may', async () => {
    const capacity = (): Map<string, number> => new Map([['t3.nano/eu-west-1a', 2], ['t3.nano/eu-west-1b', 1], ['t3.nano/eu-west-1c', 0]]);
    const asked = order(5);
    const inA = { ...asked, machines: asked.machines.map((m) => ({ ...m, zone: 'eu-west-1a' })) };
    expect((await create(await start({ capacity: capacity() }), inA)).made).toHaveLength(2);
    await fake.close();
    const { made, failed } = await create(await start({ capacity: capacity(), options: { fallback_zones: true, fallback_types: ['t3.micro'] } }), inA);
    expect([made.map((m) => m.size).sort(), failed]).toEqual([['t3.micro', 't3.micro', 't3.nano', 't3.nano', 't3.nano'], []]);
  });

  it.each([
    ['shows half of each batch: the whole order is asked for again', 2, (names: readonly string[]) => names],
    ['shows half of each batch: some names were saved before the run died', 2, (names: readonly string[]) => names.slice(7)],
    ['shows nothing yet: a batch was saved before the run died', 1, (names: readonly string[]) => names.slice(100)],
  ])('a run that died, and a list that %s, and nothing is made twice', async (_title, every, stillOpen) => {
    // These instances are on no list until the next run has asked for them.
    let isHidden = true;
    const driver = await start({ lagMs: (instance) => (isHidden && instance.launchIndex % every === every - 1 ? 3_600_000 : 0) });
    const asked = order(230);
    const dies = new AbortController();
    fake.faults.add({ kind: 'refused', on: () => (fake.calls.get('RunInstances') === 3 && fake.region('eu-west-1').alive() === 230 && dies.abort(), false) });
    await expect(create(driver, asked, dies.signal)).rejects.toMatchObject({ code: 'interrupted' });
    fake.faults.add({ kind: 'refused', on: ({ name }) => (name === 'RunInstances' && (isHidden = false), false) });
    const open = new Set(stillOpen(asked.machines.map((machine) => machine.name)));
    const { made, failed } = await create(driver, { ...asked, machines: asked.machines.filter((machine) => open.has(machine.name)) });
    expect([made.map((machine) => machine.name).sort(), failed, fake.region('eu-west-1').alive()]).toEqual([[...open].sort(), [], 230]);
  });

  it('what one call made comes in one turn of the event loop, so that it is written down as a whole', async () => {
    const driver = await start();
    let turn = 0;
    const count = (): void => void ((turn += 1), (ticking = setImmediate(count)));
    let ticking = setImmediate(count);
    const calls = [new Set<number>(), new Set<number>(), new Set<number>()];
    for await (const created of driver.create(order(230), never)) if (!('failed' in created)) calls[Math.floor((Number(created.name.slice(4)) - 1) / 100)]?.add(turn);
    clearImmediate(ticking);
    expect(calls.map(({ size }) => size)).toEqual([1, 1, 1]);
  });

  it('a batch that got less than it asked for is completed by the next run', async () => {
    const capacity = new Map([['t3.nano', 40]]);
    const driver = await start({ capacity });
    expect((await create(driver, order(100))).made).toHaveLength(40);
    capacity.set('t3.nano', 100);
    const { made, failed } = await create(driver, order(100));
    expect([new Set(made.map((machine) => machine.name)).size, failed, fake.region('eu-west-1').alive()]).toEqual([100, [], 100]);
  });

  it('leaves no group and no key behind', async () => {
    const driver = await start();
    const { made } = await create(driver, order(3));
    await driver.destroy(made.map((m) => m.id), never);
    expect([fake.region('eu-west-1').keys.size, fake.region('eu-west-1').groups.size]).toEqual([0, 0]);
  });

  it('a security group gets the rules it lacks and no other, after a crash and when allow_from changes', async () => {
    const driver = await start();
    await create(driver, order(1));
    const [group] = fake.region('eu-west-1').groups.values();
    group?.rules.splice(2);
    const moved = createDriver(v.parse(Ec2Options, { access_key_id: 'AKIAFAKE', secret_access_key: 'x', region: 'eu-west-1', regions: ['eu-west-1'], endpoint: fake.url, allow_from: ['203.0.113.7', '198.51.100.0/24'] }), { pace: scaledPace(100) });
    await create(moved, order(1, { id: 'another', machines: [{ name: 'late', region: 'eu-west-1', zone: null }] }));
    expect(group?.rules.map(({ protocol, from, source }) => `${protocol}/${from} ${source === group.id ? 'members' : source}`).sort()).toEqual([
      '50/-1 members', 'tcp/22 198.51.100.0/24', 'tcp/22 203.0.113.7/32', 'tcp/2376 198.51.100.0/24', 'tcp/2376 203.0.113.7/32', 'tcp/2377 members', 'tcp/2378 198.51.100.0/24', 'tcp/2378 203.0.113.7/32',
      'tcp/2378 members', 'tcp/7946 members', 'udp/4789 members', 'udp/7946 members',
    ]);
  });

  it('a region that is down fails its own machines and no other: list, create, stop, rm', async () => {
    const driver = await start({ options: { regions: ['eu-west-1', 'us-east-1'] } });
    const inTwo = (prefix: string): CreateOrder => ({ ...order(4, { id: prefix }), machines: [1, 2, 3, 4].map((n) => ({ name: `${prefix}${n}`, region: n % 2 === 0 ? 'us-east-1' : 'eu-west-1', zone: null })) });
    const first = await create(driver, inTwo('a'));
    const ids = first.made.map((m) => m.id).sort();
    fake.settings.downRegion = 'us-east-1';
    const listed = await driver.list(CLUSTER, never).catch((error: unknown) => error);
    expect(listed).toBeInstanceOf(ListedInPart);
    expect([(listed as ListedInPart).machines.map((m) => m.name).sort(), [...(listed as ListedInPart).regions.keys()]]).toEqual([['a1', 'a3'], ['us-east-1']]);
    const { made, failed } = await create(driver, inTwo('b'));
    expect([made.map((m) => m.name).sort(), failed.map((one) => `${one.failed} ${one.error.code}`).sort()]).toEqual([['b1', 'b3'], ['b2 driver_unavailable', 'b4 driver_unavailable']]);
    for (const act of [() => driver.power(ids, 'stop', never), () => driver.resize(ids, 't3.micro', never), () => driver.destroy(ids, never)]) {
      expect(Object.fromEntries((await act()).map(({ name, ok }) => [name.split('/')[0], ok]))).toEqual({ 'eu-west-1': true, 'us-east-1': false });
    }
    fake.settings.downRegion = null;
    expect((await driver.list(CLUSTER, never)).map((m) => m.name).sort()).toEqual(['a2', 'a4', 'b1', 'b3']);
  }, 30_000);
});

describe.skipIf(!motoFound)('the ec2 driver on moto (needs moto_server)', () => {
  let moto: Moto;
  beforeAll(async () => {
    moto = await startMoto();
  }, 40_000);
  afterAll(() => moto.close());

  it('creates, lists, stops, resizes, starts and ends machines, and leaves nothing', async () => {
    const pace = scaledPace(20);
    const driver = createDriver(v.parse(Ec2Options, { access_key_id: 'AKIAFAKE', secret_access_key: 'x', region: 'eu-west-1', regions: ['eu-west-1'], endpoint: moto.url, allow_from: ['203.0.113.7'], whole_batches: true, image: moto.image }), { pace });
    expect(await driver.validate(never)).toEqual([]);
    expect((await driver.types(never)).find((t) => t.memoryMb >= 512)?.name).toBe('t3.nano');
    const { made, failed } = await create(driver, order(30));
    expect([made.length, failed]).toEqual([30, []]);
    const listed = await driver.list(CLUSTER, never);
    expect(listed.map((m) => m.name).sort()).toEqual(order(30).machines.map((m) => m.name).sort());
    const ids = listed.map((m) => m.id).slice(0, 3);
    expect((await driver.power(ids, 'stop', never)).every((o) => o.ok)).toBe(true);
    expect((await driver.resize(ids, 't3.small', never)).every((o) => o.ok)).toBe(true);
    expect((await driver.power(ids, 'start', never)).every((o) => o.ok)).toBe(true);
    expect((await driver.list(CLUSTER, never)).filter((m) => m.size === 't3.small' && m.status === 'active')).toHaveLength(3);
    expect((await driver.destroy(listed.map((m) => m.id), never)).every((o) => o.ok)).toBe(true);
    expect(await driver.list(CLUSTER, never)).toEqual([]);
  }, 60_000);
});
