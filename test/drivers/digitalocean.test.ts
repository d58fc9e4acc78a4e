import * as v from 'valibot';
import { afterEach, describe, expect, it } from 'vitest';
import { createDriver } from '../../drivers/digitalocean/driver.ts';
import { freeRange, inboundRules } from '../../drivers/digitalocean/network.ts';
import { DigitalOceanOptions } from '../../drivers/digitalocean/options.ts';
import { readTags, writeTags } from '../../drivers/digitalocean/tags.ts';
import type { Created, CreateOrder, Driver, Machine } from '../../src/provision/driver.ts';
import { contractFound } from '../fakes/digitalocean/contract.ts';
import { startDigitalOcean, type DigitalOceanFake, type DigitalOceanFakeOptions } from '../fakes/digitalocean/service.ts';
import { scaledPace } from './scaled-pace.ts';

const present = contractFound || process.env['CI'] === 'true';
const never = new AbortController().signal;
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJb5yR9xCQxKz3o1mYk0mQy8m5T1s0r9o9d1o3o5o7o9 belt';
const OTHER_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKlPcpBnzv3sGwrkISTvVVkZvjlPZ3gMUmfe1AzkpYP9 ops';
const CLUSTER = { cluster: 'swarm2k', clusterId: '0123456789abcdef0123456789abcdef' };

function order(count: number, more: Partial<CreateOrder> = {}): CreateOrder {
  const machines = Array.from({ length: count }, (_, n) => ({ name: `node${n + 1}`, region: 'nyc3', zone: null }));
  return { ...CLUSTER, id: 'a1b2c3', machines, type: 's-1vcpu-1gb', memoryMb: 1024, image: null, sshPublicKeys: [KEY], userData: '#cloud-config\n', tags: { role: 'worker.1=x' }, spot: false, ...more };
}

describe.skipIf(!present)('the digitalocean driver, on an account that checks every call', () => {
  let fake: DigitalOceanFake;
  let driver: Driver;
  afterEach(async () => {
    await fake.close();
  });

  async function start(options: DigitalOceanFakeOptions & { token?: string } = {}): Promise<void> {
    const pace = scaledPace(100);
    fake = await startDigitalOcean({ clock: pace.now, bootMs: 2_000, ...options, token: 'right' });
    driver = createDriver(v.parse(DigitalOceanOptions, { token: options.token ?? 'right', api_url: fake.apiUrl, allow_from: ['203.0.113.7'] }), { pace });
  }
  async function create(asked: CreateOrder): Promise<{ made: Machine[]; failed: { failed: string; error: { code: string } }[] }> {
    const made: Machine[] = [];
    const failed: Extract<Created, { failed: string }>[] = [];
    for await (const created of driver.create(asked, never)) 'failed' in created ? failed.push(created) : made.push(created);
    return { made, failed };
  }
  const names = (machines: readonly Machine[]): string[] => machines.map((m) => m.name).sort();

  it('makes 25 machines in three calls, tagged, in a network of their own behind a firewall', async () => {
    await start();
    const { made, failed } = await create(order(25));
    expect([names(made), failed]).toEqual([order(25).machines.map((m) => m.name).sort(), []]);
    expect(made[0]).toMatchObject({ driver: 'digitalocean', status: 'new', publicIpv4: null, region: 'nyc3', datacenter: 'digitalocean:nyc3', size: 's-1vcpu-1gb', tags: { role: 'worker.1=x', 'belt.order': 'a1b2c3', 'belt.cluster': 'swarm2k' } });
    expect(fake.calls.get('droplets_create')).toBe(3);
    expect([fake.account.firewalls.size, fake.account.vpcs.size]).toEqual([1, 1]);
    const rules = JSON.stringify([...fake.account.firewalls.values()]);
    expect(rules).not.toMatch(/"ports":"237[67]"[^}]*0\.0\.0\.0/);
    expect(fake.violations).toEqual([]);
  });

  it('makes nothing twice for one order, and only the rest after a run that died', async () => {
    await start();
    await create(order(10));
    expect(names((await create(order(15))).made)).toHaveLength(15);
    expect(fake.account.droplets.size).toBe(15);
    expect(fake.account.keys.size).toBe(1);
  });

  it('a run that died may have asked for droplets that do not carry their tag yet: they are waited for, and made once', async () => {
    await start({ tagLagMs: 1_500 });
    await create(order(20));
    const { made, failed } = await create(order(20, { resumed: true }));
    expect([made.length, failed, fake.account.droplets.size]).toEqual([20, [], 20]);
  });

  it('finds a key that is in the account under whatever name, gives one of an older belt its name, and takes none of the operator’s along', async () => {
    await start();
    const older = fake.account.addKey(`belt-${KEY.split(' ')[1]?.slice(-12)}`, KEY.replace(/ belt$/, ''));
    const own = fake.account.addKey('laptop', OTHER_KEY);
    const { made } = await create(order(1, { sshPublicKeys: [KEY, OTHER_KEY] }));
    expect([[...fake.account.droplets.values()].map(({ keys }) => keys), [...fake.account.keys.values()].map(({ name }) => name)]).toEqual([[[older.id, own.id]], [expect.stringMatching(/^belt-0123456789ab-/), 'laptop']]);
    await driver.destroy(made.map(({ id }) => id), never);
    expect([[...fake.account.keys.keys()], fake.violations]).toEqual([[own.id], []]);
  });

  it('a key whose answer was lost is found, not refused as one that is there already', async () => {
    await start();
    fake.faults.add({ kind: 'lost-reply', on: 'sshKeys_create' });
    const { made, failed } = await create(order(1));
    expect([made.length, failed, fake.account.keys.size]).toEqual([1, [], 1]);
  });

  it.each([
    ['a lost answer', { kind: 'lost-reply' } as const],
    ['an answer that is no JSON', { kind: 'garbage' } as const],
    ['a connection refused', { kind: 'refused' } as const],
    ['a server error', { kind: 'answer', status: 503, body: '{"id":"server_error","message":"down"}' } as const],
    ['being throttled without a word for how long', { kind: 'answer', status: 429, body: '{"id":"too_many_requests","message":"slow"}' } as const],
    ['being throttled for three seconds', { kind: 'answer', status: 429, headers: { 'retry-after': '3' }, body: '{"id":"too_many_requests","message":"slow"}' } as const],
  ])('comes through %s with each machine made once', async (_name, fault) => {
    await start({ tagLagMs: 1_000 });
    fake.faults.add({ ...fault, on: 'droplets_create', times: 2 });
    const { made, failed } = await create(order(20));
    expect([names(made).length, failed, fake.account.droplets.size]).toEqual([20, [], 20]);
  });

  it('names each machine that a limit leaves out, and keeps the others', async () => {
    await start({ dropletLimit: 20 });
    const { made, failed } = await create(order(25));
    expect([made.length, failed.length, new Set(failed.map((f) => f.error.code))]).toEqual([20, 5, new Set(['driver_quota'])]);
  });

  it('tells a lack of capacity from a mistake', async () => {
    await start({ soldOut: new Set(['s-1vcpu-2gb']) });
    expect((await create(order(1, { type: 's-1vcpu-2gb' }))).failed[0]?.error.code).toBe('driver_capacity');
    expect((await create(order(1, { id: 'x', type: 'no-such-size' }))).failed[0]?.error.code).toBe('driver');
  });

  it('switches off, on and to another size, and says what was so already', async () => {
    await start();
    const { made } = await create(order(3));
    const ids = made.map((m) => m.id);
    const act = async (action: 'stop' | 'start' | 'kill'): Promise<unknown[]> => (await driver.power(ids, action, never)).map((o) => (o.ok ? (o.note ?? 'done') : o.error.code));
    await expect(driver.power(ids, 'start', never)).resolves.toHaveLength(3);
    expect(await act('stop')).toEqual(['done', 'done', 'done']);
    expect(await act('stop')).toEqual(['already off', 'already off', 'already off']);
    expect(await act('start')).toEqual(['done', 'done', 'done']);
    expect((await driver.resize(ids, 's-2vcpu-4gb', never)).map((o) => o.ok)).toEqual([true, true, true]);
    expect((await driver.list(CLUSTER, never)).map((m) => [m.size, m.status])).toEqual(Array(3).fill(['s-2vcpu-4gb', 'active']));
    expect((await driver.resize(ids, 's-2vcpu-4gb', never))[0]).toMatchObject({ note: 'already s-2vcpu-4gb' });
    expect((await driver.power(['999'], 'stop', never))[0]).toMatchObject({ ok: false });
    expect(fake.violations).toEqual([]);
  });

  it('leaves nothing behind when the last machine goes, in one call for all, and again is fine', async () => {
    await start();
    const { made } = await create(order(30));
    const ids = made.map((m) => m.id);
    expect((await driver.destroy(ids.slice(0, 2), never)).every((o) => o.ok)).toBe(true);
    expect(fake.account.firewalls.size).toBe(1);
    expect((await driver.destroy(ids, never)).map((o) => (o.ok ? o.note : 'failed')).filter((note) => note === 'already gone')).toHaveLength(2);
    expect([fake.account.droplets.size, fake.account.firewalls.size, fake.account.vpcs.size]).toEqual([0, 0, 0]);
    expect(fake.calls.get('droplets_destroy_byTag')).toBe(1);
    expect(fake.violations).toEqual([]);
  });

  it('says every problem at once, without a token in it', async () => {
    await start({ token: 'wrong-secret' });
    expect(await driver.validate(never)).toEqual([{ key: 'token', message: 'DigitalOcean: Unable to authenticate you', next: 'check DIGITALOCEAN_ACCESS_TOKEN: it needs read and write scope' }]);
    expect((await createDriver(v.parse(DigitalOceanOptions, {})).validate(never)).map((p) => p.key)).toEqual(['token', 'allow_from']);
  });
});

describe('what stands in tags and networks', () => {
  it('keeps any key and value over DigitalOcean’s alphabet', () => {
    const tags = writeTags({ cluster: 'prod.eu=1', clusterId: 'c' }, 'o', { 'a.b=c': 'x y/z:ü' });
    expect(tags.every((tag) => /^[a-zA-Z0-9_\-:]+$/.test(tag))).toBe(true);
    expect(readTags([...tags, 'somebody-elses'])).toEqual({ 'belt.cluster': 'prod.eu=1', 'belt.cluster-id': 'c', 'belt.order': 'o', 'a.b=c': 'x y/z:ü' });
  });

  it('takes a private network nobody has', () => {
    const first = freeRange('x', []);
    expect(first).toMatch(/^10\.\d+\.0\.0\/16$/);
    expect(freeRange('x', [first])).not.toBe(first);
  });

  it('opens 22 and 2378 to anywhere when told to, 2376 and 2377 never', () => {
    const world = inboundRules('t', ['anywhere']).filter((rule) => JSON.stringify(rule).includes('0.0.0.0/0')) as { ports: string }[];
    expect(world.map((rule) => rule.ports)).toEqual(['22', '2378']);
  });
});
