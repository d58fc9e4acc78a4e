import { afterEach, describe, expect, it } from 'vitest';
import { contractFound } from './digitalocean/contract.ts';
import { startDigitalOcean, type DigitalOceanFake } from './digitalocean/service.ts';

const present = contractFound || process.env['CI'] === 'true';

describe.skipIf(!present)('the DigitalOcean fake (needs ../shared/reference/digitalocean-openapi.json)', () => {
  let fake: DigitalOceanFake;
  afterEach(() => fake.close());

  async function call(method: string, path: string, body?: unknown): Promise<{ status: number; headers: Headers; body: Record<string, never> & { [key: string]: unknown } }> {
    const reply = await fetch(fake.apiUrl + path, { method, headers: { authorization: 'Bearer dop_v1_fake', 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const text = await reply.text();
    return { status: reply.status, headers: reply.headers, body: text === '' ? {} : JSON.parse(text) };
  }
  const order = (count: number): unknown => ({ names: Array.from({ length: count }, (_, n) => `node${n}`), region: 'nyc3', size: 's-1vcpu-1gb', image: 'debian-12-x64', tags: ['belt', 'belt-req:1'] });

  it('makes ten at once, new and without addresses, then active with them', async () => {
    const hand = { now: 1_000_000 };
    fake = await startDigitalOcean({ clock: () => hand.now, bootMs: 20_000 });
    const made = await call('POST', 'droplets', order(10));
    expect(made.status).toBe(202);
    const first = (made.body['droplets'] as unknown as { status: string; networks: { v4: unknown[] } }[])[0];
    expect(first).toMatchObject({ status: 'new', networks: { v4: [] } });
    hand.now += 20_000;
    const listed = await call('GET', 'droplets?tag_name=belt-req:1&per_page=4&page=2');
    expect(listed.body['meta']).toEqual({ total: 10 });
    expect((listed.body['droplets'] as unknown as { status: string; networks: { v4: unknown[] } }[]).map((d) => [d.status, d.networks.v4.length])).toEqual(Array(4).fill(['active', 2]));
    expect(fake.violations).toEqual([]);
  });

  it('takes both spellings of a path', async () => {
    fake = await startDigitalOcean();
    expect((await call('GET', 'sizes/')).status).toBe(200);
    expect((await call('GET', 'sizes')).status).toBe(200);
  });

  it('refuses eleven names, an unknown size, a name with an underscore, a foreign token', async () => {
    fake = await startDigitalOcean();
    expect((await call('POST', 'droplets', order(11))).status).toBe(422);
    expect((await call('POST', 'droplets', { ...(order(1) as object), size: 'huge' })).status).toBe(422);
    expect(fake.violations).toEqual([]);
    expect((await call('POST', 'droplets', { ...(order(1) as object), names: ['a_b'] })).status).toBe(422);
    expect(fake.violations).toHaveLength(1);
    expect((await fetch(`${fake.apiUrl}droplets`)).status).toBe(401);
  });

  it('throttles the burst with retry-after and the hour without', async () => {
    const hand = { now: 1_000_000 };
    fake = await startDigitalOcean({ clock: () => hand.now, perMinute: 2, perHour: 3 });
    expect([(await call('GET', 'sizes')).status, (await call('GET', 'sizes')).status]).toEqual([200, 200]);
    const burst = await call('GET', 'sizes');
    expect([burst.status, burst.headers.get('retry-after')]).toEqual([429, '60']);
    hand.now += 60_000;
    expect((await call('GET', 'sizes')).status).toBe(200);
    const hour = await call('GET', 'sizes');
    expect([hour.status, hour.headers.get('retry-after'), hour.headers.get('ratelimit-remaining')]).toEqual([429, null, '0']);
    expect(fake.throttled()).toBe(2);
  });

  it('does what was asked and loses the reply', async () => {
    fake = await startDigitalOcean();
    fake.faults.add({ kind: 'lost-reply', on: 'droplets_create' });
    await expect(call('POST', 'droplets', order(2))).rejects.toThrow();
    expect((await call('GET', 'droplets?tag_name=belt-req:1')).body['meta']).toEqual({ total: 2 });
  });

  it('does not find by tag what is younger than the lag', async () => {
    const hand = { now: 1_000_000 };
    fake = await startDigitalOcean({ clock: () => hand.now, tagLagMs: 5_000 });
    await call('POST', 'droplets', order(1));
    expect((await call('GET', 'droplets?tag_name=belt')).body['meta']).toEqual({ total: 0 });
    hand.now += 5_000;
    expect((await call('GET', 'droplets?tag_name=belt')).body['meta']).toEqual({ total: 1 });
  });

  it('resizes only what is off', async () => {
    const hand = { now: 1_000_000 };
    fake = await startDigitalOcean({ clock: () => hand.now, bootMs: 1_000 });
    const made = await call('POST', 'droplets', order(1));
    const id = (made.body['droplets'] as unknown as { id: number }[])[0]?.id;
    hand.now += 1_000;
    expect((await call('POST', `droplets/${id}/actions`, { type: 'resize', size: 's-1vcpu-2gb' })).status).toBe(422);
    expect((await call('POST', `droplets/${id}/actions`, { type: 'power_off' })).status).toBe(201);
    hand.now += 1_000;
    expect((await call('POST', `droplets/${id}/actions`, { type: 'resize', size: 's-1vcpu-2gb' })).status).toBe(201);
    expect(fake.violations).toEqual([]);
  });
});
