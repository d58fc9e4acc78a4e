/**
 * A stateful DigitalOcean over HTTP: every request and reply is checked against the published OpenAPI document, limits and paging are
 * the real ones, and faults are injected by the test. Both spellings of a path, with and without a trailing slash, are taken.
 */
import { randomUUID } from 'node:crypto';
import type { FakeReply, FakeRequest, FakeService } from '../http-fake.ts';
import { startFake, type RunningFake } from '../http-fake.ts';
import { SlidingWindow, scaledClock, type FakeClock } from '../limits.ts';
import { Contract } from './contract.ts';
import { renderAction, renderDroplet, renderPage, renderRegion, renderSnapshot } from './render.ts';
import { Account, REGIONS, SIZES, type Droplet } from './state.ts';

export interface DigitalOceanFakeOptions {
  readonly token?: string;
  readonly clock?: FakeClock;
  readonly bootMs?: number;
  readonly tagLagMs?: number;
  readonly dropletLimit?: number;
  readonly soldOut?: ReadonlySet<string>;
  /** Calls an hour and calls a minute of the fake's clock; 5,000 and 250 as the real ones. */
  readonly perHour?: number;
  readonly perMinute?: number;
}

export interface DigitalOceanFake extends RunningFake {
  /** What `api_url` is set to. */
  readonly apiUrl: string;
  readonly account: Account;
  /** What broke the published contract, requests and replies; must stay empty. */
  readonly violations: string[];
  readonly throttled: () => number;
  readonly settings: Settings;
}

/** What a test may change while the fake runs. */
export interface Settings {
  /** The token that is accepted. */
  token: string;
  /** Largest page a list gives, whatever is asked; 200 as the real one. */
  pageSizeMax: number;
}

let contract: Contract | undefined;

/** Starts a fake account on loopback. */
export async function startDigitalOcean(options: DigitalOceanFakeOptions = {}): Promise<DigitalOceanFake> {
  contract ??= new Contract();
  const service = new DigitalOceanService(contract, options);
  const running = await startFake(service);
  service.base = running.url;
  return { ...running, apiUrl: `${running.url}/v2/`, account: service.account, violations: service.violations, throttled: () => service.throttled, settings: service.settings };
}

type Body = Record<string, unknown>;
class Refusal extends Error {
  readonly status: number;
  readonly id: string;
  constructor(status: number, id: string, message: string) {
    super(message);
    this.status = status;
    this.id = id;
  }
}

class DigitalOceanService implements FakeService {
  base = '';
  throttled = 0;
  readonly account: Account;
  readonly violations: string[] = [];
  readonly #contract: Contract;
  readonly settings: Settings;
  readonly #hour: SlidingWindow;
  readonly #minute: SlidingWindow;

  constructor(contractUsed: Contract, options: DigitalOceanFakeOptions) {
    const clock = options.clock ?? scaledClock(1);
    this.#contract = contractUsed;
    this.settings = { token: options.token ?? 'dop_v1_fake', pageSizeMax: 200 };
    this.account = new Account({ clock, bootMs: options.bootMs ?? 50, tagLagMs: options.tagLagMs ?? 0, dropletLimit: options.dropletLimit ?? 10_000, capacity: Infinity, soldOut: options.soldOut ?? new Set() });
    this.#hour = new SlidingWindow(options.perHour ?? 5_000, 3_600_000, clock);
    this.#minute = new SlidingWindow(options.perMinute ?? 250, 60_000, clock);
  }

  nameOf(request: Omit<FakeRequest, 'name'>): string {
    return this.#contract.find(request.method, request.path)?.id ?? 'unknown';
  }

  handle(request: FakeRequest): FakeReply {
    const op = this.#contract.find(request.method, request.path);
    if (op === null) return this.#reply(404, { id: 'not_found', message: 'The resource you were accessing could not be found.' });
    if (request.headers.authorization !== `Bearer ${this.settings.token}`) return this.#reply(401, { id: 'unauthorized', message: 'Unable to authenticate you' });
    const limited = this.#limit();
    if (limited !== null) return limited;
    const body = request.body.length > 0 ? (JSON.parse(request.body.toString('utf8')) as Body) : undefined;
    const problem = this.#contract.requestProblem(op, body);
    if (problem !== null) {
      this.violations.push(`request ${op.id}: ${problem}`);
      return this.#reply(422, { id: 'unprocessable_entity', message: problem });
    }
    let status: number;
    let out: unknown;
    try {
      [status, out] = this.#route(op.id, request, body ?? {});
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      [status, out] = [error.status, { id: error.id, message: error.message, request_id: randomUUID() }];
    }
    const wrong = this.#contract.replyProblem(op, status, out);
    if (wrong !== null) this.violations.push(`reply ${op.id} ${status}: ${wrong}`);
    return this.#reply(status, out);
  }

  #limit(): FakeReply | null {
    const burst = !this.#minute.take();
    if (!burst && this.#hour.take()) return null;
    this.throttled += 1;
    const reply = this.#reply(429, { id: 'too_many_requests', message: 'API Rate limit exceeded.' });
    if (!burst) return reply;
    const seconds = Math.ceil((this.#minute.resetAt() - this.account.now()) / 1000);
    return { ...reply, headers: { ...reply.headers, 'retry-after': String(Math.max(1, seconds)) } };
  }

  #reply(status: number, body: unknown): FakeReply {
    const headers = {
      'content-type': 'application/json; charset=utf-8',
      'ratelimit-limit': String(this.#hour.limit),
      'ratelimit-remaining': String(this.#hour.remaining()),
      'ratelimit-reset': String(Math.ceil(this.#hour.resetAt() / 1000)),
    };
    return { status, headers, body: status === 204 ? '' : JSON.stringify(body) };
  }

  #route(id: string, request: FakeRequest, body: Body): [number, unknown] {
    const a = this.account;
    const page = (key: string, all: readonly unknown[]): [number, unknown] => [200, renderPage(key, all, request.query, this.base + request.path, this.settings.pageSizeMax)];
    switch (id) {
      case 'account_get':
        return [200, { account: { droplet_limit: a.options.dropletLimit, floating_ip_limit: 5, email: 'ops@example.com', name: 'ops', uuid: 'b6fr89dbf6d9156cace5f3c78dc9851d957381ef', email_verified: true, status: 'active', status_message: ' ' } }];
      case 'sshKeys_list':
        return page('ssh_keys', [...a.keys.values()]);
      case 'sshKeys_create':
        return this.#addKey(body);
      case 'sshKeys_update': {
        const key = a.keys.get(Number(request.path.split('/')[4]));
        if (key === undefined) throw new Refusal(404, 'not_found', 'The resource you were accessing could not be found.');
        key.name = String(body['name']);
        return [200, { ssh_key: key }];
      }
      case 'sshKeys_delete':
        if (!a.keys.delete(Number(request.path.split('/')[4]))) throw new Refusal(404, 'not_found', 'The resource you were accessing could not be found.');
        return [204, undefined];
      case 'regions_list':
        return page('regions', REGIONS.map(renderRegion));
      case 'sizes_list':
        return page('sizes', SIZES);
      case 'droplets_list':
        return this.#list(request);
      case 'droplets_create':
        return this.#create(body);
      case 'droplets_get':
        return [200, { droplet: renderDroplet(a, this.#droplet(request.path)) }];
      case 'droplets_destroy':
        a.droplets.delete(this.#droplet(request.path).id);
        return [204, undefined];
      case 'droplets_destroy_byTag':
        for (const d of a.tagged(request.query.get('tag_name') ?? '')) a.droplets.delete(d.id);
        return [204, undefined];
      case 'dropletActions_post':
        return this.#action(this.#droplet(request.path), body);
      case 'snapshots_list':
        return page('snapshots', [...a.snapshots.values()].filter(({ readyMs }) => readyMs <= a.now()).map(renderSnapshot));
      case 'snapshots_delete':
        if (!a.snapshots.delete(request.path.split('/')[3] as string)) throw new Refusal(404, 'not_found', 'The resource you were accessing could not be found.');
        return [204, undefined];
      case 'dropletActions_post_byTag':
        return this.#actionByTag(request.query.get('tag_name') ?? '', body);
      default:
        return this.#routeNetwork(id, request, body, page);
    }
  }

  #routeNetwork(id: string, request: FakeRequest, body: Body, page: (key: string, all: readonly unknown[]) => [number, unknown]): [number, unknown] {
    const a = this.account;
    switch (id) {
      case 'vpcs_list':
        return page('vpcs', [...a.vpcs.values()].map(renderVpc));
      case 'vpcs_create': {
        const vpc = { id: randomUUID(), name: String(body['name']), region: String(body['region']), ip_range: String(body['ip_range'] ?? '10.10.0.0/20'), description: '', default: false, createdMs: a.now() };
        if ([...a.vpcs.values()].some((v) => v.name === vpc.name)) throw new Refusal(422, 'unprocessable_entity', 'name is already in use');
        a.vpcs.set(vpc.id, vpc);
        return [201, { vpc: renderVpc(vpc) }];
      }
      case 'vpcs_delete': {
        const vpc = request.path.split('/')[3] as string;
        if ([...a.droplets.values()].some((d) => d.vpc === vpc)) throw new Refusal(409, 'conflict', 'Can not delete VPC with members');
        if (!a.vpcs.delete(vpc)) throw new Refusal(404, 'not_found', 'The resource you were accessing could not be found.');
        return [204, undefined];
      }
      case 'firewalls_list':
        return page('firewalls', [...a.firewalls.values()]);
      case 'firewalls_create': {
        if ([...a.firewalls.values()].some((f) => f['name'] === body['name'])) throw new Refusal(409, 'conflict', 'duplicate name');
        const firewall = { ...body, id: randomUUID(), status: 'waiting', created_at: new Date(a.now()).toISOString(), pending_changes: [], droplet_ids: body['droplet_ids'] ?? [], tags: body['tags'] ?? [] };
        a.firewalls.set(firewall.id, firewall);
        return [202, { firewall }];
      }
      case 'firewalls_add_rules': {
        const firewall = this.#firewall(request.path);
        firewall['inbound_rules'] = [...(firewall['inbound_rules'] as unknown[]), ...((body['inbound_rules'] as unknown[] | undefined) ?? [])];
        return [204, undefined];
      }
      case 'firewalls_add_tags': {
        const firewall = this.#firewall(request.path);
        for (const tag of body['tags'] as string[]) if (!a.tags.has(tag)) throw new Refusal(422, 'unprocessable_entity', `tag ${tag} does not exist`);
        firewall['tags'] = [...(firewall['tags'] as string[]), ...(body['tags'] as string[])];
        return [204, undefined];
      }
      case 'tags_get':
      case 'tags_delete': {
        const name = decodeURIComponent(request.path.split('/')[3] as string);
        if (!a.tags.has(name)) throw new Refusal(404, 'not_found', 'The resource you were accessing could not be found.');
        if (id === 'tags_delete') return [(a.tags.delete(name), 204), undefined];
        const count = [...a.droplets.values(), ...a.snapshots.values()].filter((d) => d.tags.includes(name)).length;
        return [200, { tag: { name, resources: { count, droplets: { count } } } }];
      }
      case 'firewalls_delete':
        if (!a.firewalls.delete(request.path.split('/')[3] as string)) throw new Refusal(404, 'not_found', 'The resource you were accessing could not be found.');
        return [204, undefined];
      case 'tags_create':
        a.tags.add(String(body['name']));
        return [201, { tag: { name: body['name'], resources: { count: 0, droplets: { count: 0 } } } }];
      case 'tags_assign_resources':
        return this.#assign(decodeURIComponent(request.path.split('/')[3] as string), body);
      default:
        throw new Refusal(404, 'not_found', `the fake has no ${id}`);
    }
  }

  #list(request: FakeRequest): [number, unknown] {
    const a = this.account;
    const tag = request.query.get('tag_name');
    const name = request.query.get('name')?.toLowerCase();
    let found = tag === null ? [...a.droplets.values()] : a.tagged(tag);
    if (name !== undefined) found = found.filter((d) => d.name.toLowerCase() === name);
    const pageOnly = renderPage('droplets', found, request.query, this.base + request.path, this.settings.pageSizeMax) as { droplets: Droplet[] };
    return [200, { ...pageOnly, droplets: pageOnly.droplets.map((d) => renderDroplet(a, d)) }];
  }

  #create(body: Body): [number, unknown] {
    const a = this.account;
    const names = (body['names'] as string[] | undefined) ?? [String(body['name'])];
    if (names.length > 10) throw new Refusal(422, 'unprocessable_entity', 'you can create up to 10 droplets at once');
    const size = SIZES.find((s) => s.slug === body['size']);
    if (size === undefined) throw new Refusal(422, 'unprocessable_entity', 'You specified an invalid size for Droplet creation.');
    const region = REGIONS.find((r) => r.startsWith(String(body['region'] ?? 'nyc')));
    if (region === undefined || !size.regions.includes(region)) throw new Refusal(422, 'unprocessable_entity', 'Size is not available in this region.');
    if (a.options.soldOut.has(size.slug)) throw new Refusal(422, 'unprocessable_entity', 'Size is not available in this region.');
    if (a.droplets.size + names.length > a.options.capacity) throw new Refusal(422, 'unprocessable_entity', 'Size is not available in this region.');
    if (a.droplets.size + names.length > a.options.dropletLimit) throw new Refusal(422, 'unprocessable_entity', 'creating this/these droplet(s) will exceed your droplet limit');
    const snapshot = typeof body['image'] === 'number' ? a.snapshots.get(String(body['image'])) : undefined;
    if (typeof body['image'] === 'number' && snapshot?.droplet.region !== region) throw new Refusal(422, 'unprocessable_entity', 'You specified an invalid image for Droplet creation.');
    const keys = (body['ssh_keys'] as (string | number)[] | undefined) ?? [];
    for (const key of keys) {
      if (![...a.keys.values()].some((k) => k.id === key || k.fingerprint === key)) throw new Refusal(422, 'unprocessable_entity', `${key} are invalid key identifiers for Droplet creation.`);
    }
    if (Buffer.byteLength(String(body['user_data'] ?? '')) > 65_536) throw new Refusal(422, 'unprocessable_entity', 'User data is limited to 64KiB');
    const vpc = (body['vpc_uuid'] as string | undefined) ?? a.defaultVpc(region);
    if (!a.vpcs.has(vpc)) throw new Refusal(422, 'unprocessable_entity', 'invalid VPC UUID');
    const made = names.map((name) => a.create({ name, size, region, image: String(body['image']), tags: (body['tags'] as string[] | null) ?? [], vpc, userData: (body['user_data'] as string | undefined) ?? null, keys }));
    // The reply describes the droplets before anything about them is settled.
    const droplets = made.map((d) => ({ ...renderDroplet(a, d), status: 'new', networks: { v4: [], v6: [] } }));
    const actions = made.map((d) => ({ id: d.id + 1, rel: 'create', href: `${this.base}/v2/actions/${d.id + 1}` }));
    return body['names'] === undefined ? [202, { droplet: droplets[0], links: { actions } }] : [202, { droplets, links: { actions } }];
  }

  #action(droplet: Droplet, body: Body): [number, unknown] {
    const a = this.account;
    const type = String(body['type']);
    if (a.now() < droplet.busyUntilMs) throw new Refusal(422, 'unprocessable_entity', 'Droplet already has a pending event.');
    const apply = this.#effect(droplet, type, body);
    return [201, { action: renderAction(a, a.act(droplet, type, apply), droplet.region) }];
  }

  #effect(droplet: Droplet, type: string, body: Body): () => void {
    switch (type) {
      case 'power_on':
        return () => void (droplet.power = 'on');
      case 'power_off':
      case 'shutdown':
        if (droplet.power === 'off') throw new Refusal(422, 'unprocessable_entity', 'Droplet is already powered off.');
        return () => void (droplet.power = 'off');
      case 'reboot':
      case 'power_cycle':
        return () => undefined;
      case 'snapshot':
        return () => this.account.addSnapshot(droplet, String(body['name']));
      case 'resize': {
        const size = SIZES.find((s) => s.slug === body['size']);
        if (size === undefined) throw new Refusal(422, 'unprocessable_entity', 'invalid size');
        if (droplet.power === 'on') throw new Refusal(422, 'unprocessable_entity', 'Droplet must be powered off to resize.');
        return () => void (droplet.size = size);
      }
      default:
        throw new Refusal(422, 'unprocessable_entity', `the fake does not know ${type}`);
    }
  }

  #actionByTag(tag: string, body: Body): [number, unknown] {
    const a = this.account;
    const type = String(body['type']);
    const actions = a.tagged(tag).map((d) => renderAction(a, a.act(d, type, this.#effect(d, type, body)), d.region));
    return [201, { actions }];
  }

  #assign(tag: string, body: Body): [number, unknown] {
    if (!this.account.tags.has(tag)) throw new Refusal(404, 'not_found', 'The resource you were accessing could not be found.');
    for (const resource of body['resources'] as { resource_id: string }[]) {
      const droplet = this.account.droplets.get(Number(resource.resource_id)) ?? this.account.snapshots.get(resource.resource_id);
      if (droplet !== undefined && !droplet.tags.includes(tag)) droplet.tags.push(tag);
    }
    return [204, undefined];
  }

  #addKey(body: Body): [number, unknown] {
    const text = String(body['public_key']).trim();
    if ([...this.account.keys.values()].some((k) => k.public_key.split(' ')[1] === text.split(' ')[1])) {
      throw new Refusal(422, 'unprocessable_entity', 'SSH Key is already in use on your account');
    }
    return [201, { ssh_key: this.account.addKey(String(body['name']), text) }];
  }

  #firewall(path: string): Record<string, unknown> {
    const firewall = this.account.firewalls.get(path.split('/')[3] as string);
    if (firewall === undefined) throw new Refusal(404, 'not_found', 'The resource you were accessing could not be found.');
    return firewall;
  }

  #droplet(path: string): Droplet {
    const droplet = this.account.droplets.get(Number(path.split('/')[3]));
    if (droplet === undefined) throw new Refusal(404, 'not_found', 'The resource you requested could not be found.');
    return droplet;
  }
}

function renderVpc(vpc: { id: string; name: string; region: string; ip_range: string; description: string; default: boolean; createdMs: number }): Body {
  const { createdMs, ...rest } = vpc;
  return { ...rest, urn: `do:vpc:${vpc.id}`, created_at: new Date(createdMs).toISOString() };
}
