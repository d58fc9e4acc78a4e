/**
 * DigitalOcean's API as belt calls it: typed, paced, retried in one place, and with every answer checked. do-wrapper makes the requests; what
 * it lacks (a deadline, rate headers, `names`, VPCs, paging of 200) is put in here, at the one helper all its modules share.
 */
import * as v from 'valibot';
import { BeltError, isBeltError } from '../../src/errors.ts';
import { RateLimiter, realPace, type Pace } from '../../src/provision/rate-limit.ts';
import { CLOUD_RETRY, LOOK_RETRY, withRetry, type RetryPolicy } from '../../src/provision/retry.ts';
import { limitsOf } from './estimate.ts';
import { failureOf } from './errors.ts';
import type { DigitalOceanOptions } from './options.ts';

/** One request is given this long, ms: creating ten droplets takes the API a few seconds. */
const REQUEST_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 5_000;
const PAGE = 200;
/** Pages that are followed at most: 200 × 100 things of one kind. */
const PAGES_MAX = 100;

const network = v.object({ ip_address: v.string(), type: v.string() });
export const Droplet = v.object({
  id: v.number(),
  name: v.string(),
  status: v.string(),
  locked: v.boolean(),
  memory: v.number(),
  size_slug: v.string(),
  created_at: v.string(),
  tags: v.array(v.string()),
  networks: v.object({ v4: v.optional(v.array(network), []) }),
  region: v.object({ slug: v.string() }),
  image: v.object({ slug: v.optional(v.nullable(v.string()), null), name: v.optional(v.nullable(v.string()), null) }),
});
export type Droplet = v.InferOutput<typeof Droplet>;
const Key = v.object({ id: v.number(), name: v.string(), fingerprint: v.string() });
const DropletSnapshot = v.object({ id: v.string(), name: v.string(), created_at: v.string(), regions: v.array(v.string()), size_gigabytes: v.number(), tags: v.nullable(v.array(v.string())) });
export type DropletSnapshot = v.InferOutput<typeof DropletSnapshot>;
const Size = v.object({ slug: v.string(), memory: v.number(), vcpus: v.number(), price_hourly: v.number(), regions: v.array(v.string()), available: v.boolean() });
const Vpc = v.object({ id: v.string(), name: v.string(), region: v.string(), ip_range: v.string() });
const Sources = v.object({ addresses: v.optional(v.nullable(v.array(v.string())), []), tags: v.optional(v.nullable(v.array(v.string())), []) });
const Firewall = v.object({
  id: v.string(),
  name: v.string(),
  tags: v.optional(v.nullable(v.array(v.string())), []),
  inbound_rules: v.optional(v.nullable(v.array(v.object({ protocol: v.string(), ports: v.string(), sources: Sources }))), []),
});
export type Firewall = v.InferOutput<typeof Firewall>;
export interface InboundRule {
  readonly protocol: string;
  readonly ports: string;
  readonly sources: { readonly addresses?: readonly string[]; readonly tags?: readonly string[] };
}
const Account = v.object({ account: v.object({ droplet_limit: v.number(), status: v.string() }) });

/** What a request helper of do-wrapper looks like from here; its types say less than it does. */
interface Helper {
  apiUrl: string;
  requestBuilder(options: unknown): object;
  request(options: { actionPath: string; method?: string; qs?: object; body?: object }): Promise<unknown>;
}
export interface CreateBody {
  readonly names: readonly string[];
  readonly region: string;
  readonly size: string;
  /** A slug, or the number of a snapshot. */
  readonly image: string | number;
  readonly ssh_keys: readonly number[];
  readonly tags: readonly string[];
  readonly vpc_uuid?: string;
  readonly user_data?: string;
  readonly monitoring: boolean;
  readonly ipv6: boolean;
}
export interface ApiPorts {
  readonly pace?: Pace;
  readonly random?: () => number;
  readonly retry?: RetryPolicy;
}

/** Thrown by a call that may have had its effect: look it up before it is made again. */
export class UnknownEffect extends Error {
  readonly error: BeltError;
  constructor(error: BeltError) {
    super(error.message);
    this.error = error;
  }
}

export class DigitalOceanApi {
  readonly #helper: Helper;
  readonly #limiter: RateLimiter;
  readonly #pace: Pace;
  readonly #ports: ApiPorts;

  private constructor(helper: Helper, limiter: RateLimiter, ports: ApiPorts) {
    this.#helper = helper;
    this.#ports = ports;
    this.#pace = ports.pace ?? realPace;
    this.#limiter = limiter;
  }

  /** The same account with less patience when it is down. */
  look(): DigitalOceanApi {
    return new DigitalOceanApi(this.#helper, this.#limiter, { ...this.#ports, retry: LOOK_RETRY });
  }

  /** Loads do-wrapper and points it at the account. Throws `config` without a token. */
  static async open(options: DigitalOceanOptions, ports: ApiPorts = {}): Promise<DigitalOceanApi> {
    if (options.token === undefined) throw new BeltError('config', 'no DigitalOcean token', { next: 'set DIGITALOCEAN_ACCESS_TOKEN' });
    const module = (await import('do-wrapper')) as unknown as { default: unknown };
    const DigitalOcean = ((module.default as { default?: unknown }).default ?? module.default) as new (token: string) => { account: { requestHelper: Helper } };
    const helper = new DigitalOcean(options.token).account.requestHelper;
    const api = new DigitalOceanApi(helper, new RateLimiter(limitsOf(options), ports.pace ?? realPace), ports);
    api.#equip(options);
    return api;
  }

  #equip(options: DigitalOceanOptions): void {
    const build = this.#helper.requestBuilder.bind(this.#helper);
    this.#helper.apiUrl = options.api_url.replace(/\/*$/, '/');
    const note = (response: { headers: Record<string, string | undefined> }): object => {
      const remaining = response.headers['ratelimit-remaining'];
      if (remaining !== undefined) this.#limiter.learn('hour', Number(remaining));
      return response;
    };
    this.#helper.requestBuilder = (request) => ({ ...build(request), timeout: { connect: CONNECT_TIMEOUT_MS, request: REQUEST_TIMEOUT_MS }, followRedirect: false, hooks: { afterResponse: [note] } });
  }

  /** One call, paced and not repeated. Throws `BeltError`, or {@link UnknownEffect}. */
  async #once(method: string, path: string, qs: object, body: object | undefined, signal: AbortSignal): Promise<unknown> {
    await this.#limiter.acquire('hour', 1, signal);
    await this.#limiter.acquire('minute', 1, signal);
    try {
      return await this.#helper.request({ actionPath: path, method, qs, ...(body === undefined ? {} : { body }) });
    } catch (thrown) {
      const { error, effect } = failureOf(thrown, this.#pace.now());
      if (error.code === 'driver_throttled') this.#limiter.throttled(error.retryAfterMs !== undefined && error.retryAfterMs > 60_000 ? 'hour' : 'minute', error.retryAfterMs ?? 5_000);
      if (effect === 'unknown') throw new UnknownEffect(error);
      throw error;
    }
  }

  /** A call that may be repeated: reading, deleting, and acts that say so when they are done already. */
  async #safe(method: string, path: string, qs: object, body: object | undefined, signal: AbortSignal): Promise<unknown> {
    return withRetry(
      async () => {
        try {
          return await this.#once(method, path, qs, body, signal);
        } catch (error) {
          throw error instanceof UnknownEffect ? error.error : error;
        }
      },
      signal,
      { pace: this.#pace, policy: this.#ports.retry ?? CLOUD_RETRY, ...(this.#ports.random === undefined ? {} : { random: this.#ports.random }) },
    );
  }

  async #all<S extends v.GenericSchema>(path: string, key: string, item: S, qs: object, signal: AbortSignal): Promise<v.InferOutput<S>[]> {
    const Page = v.object({ [key]: v.array(item), meta: v.optional(v.object({ total: v.number() })) });
    const found: v.InferOutput<S>[] = [];
    for (let page = 1; page <= PAGES_MAX; page += 1) {
      const checked = check(Page, await this.#safe('GET', path, { ...qs, page, per_page: PAGE }, undefined, signal), path) as Record<string, v.InferOutput<S>[]> & { meta?: { total: number } };
      const items = checked[key] as v.InferOutput<S>[];
      found.push(...items);
      // The API may give smaller pages than it was asked for: its total says when all are here.
      if (items.length === 0 || found.length >= (checked.meta?.total ?? 0)) return found;
    }
    throw new BeltError('driver', `DigitalOcean lists more than ${PAGE * PAGES_MAX} ${key}`);
  }

  /** Creates up to ten droplets in one call. Throws `BeltError` when nothing was made, {@link UnknownEffect} when that is not known. */
  async createDroplets(body: CreateBody, signal: AbortSignal): Promise<Droplet[]> {
    const reply = await this.#once('POST', 'droplets', {}, body, signal);
    const checked = v.safeParse(v.object({ droplets: v.array(Droplet) }), reply);
    if (!checked.success) throw new UnknownEffect(new BeltError('driver_unavailable', 'DigitalOcean answered a create call with something else than droplets'));
    return checked.output.droplets;
  }

  dropletsByTag(tag: string, signal: AbortSignal): Promise<Droplet[]> {
    return this.#all('droplets', 'droplets', Droplet, { tag_name: tag }, signal);
  }
  dropletsByName(name: string, signal: AbortSignal): Promise<Droplet[]> {
    return this.#all('droplets', 'droplets', Droplet, { name }, signal);
  }
  async act(id: string, type: string, more: object, signal: AbortSignal): Promise<void> {
    await this.#safe('POST', `droplets/${encodeURIComponent(id)}/actions`, {}, { type, ...more }, signal);
  }
  async actByTag(tag: string, type: string, signal: AbortSignal): Promise<void> {
    await this.#safe('POST', 'droplets/actions', { tag_name: tag }, { type }, signal);
  }
  async destroy(id: string, signal: AbortSignal): Promise<void> {
    await this.#safe('DELETE', `droplets/${encodeURIComponent(id)}`, {}, undefined, signal);
  }
  /** One call, not repeated: two would be two snapshots. `unknown`: the answer was lost, or the droplet was busy. */
  async snapshot(id: string, name: string, signal: AbortSignal): Promise<'asked' | 'unknown'> {
    try {
      await this.#once('POST', `droplets/${encodeURIComponent(id)}/actions`, {}, { type: 'snapshot', name }, signal);
      return 'asked';
    } catch (error) {
      if (error instanceof UnknownEffect) return 'unknown';
      throw error;
    }
  }
  snapshots(signal: AbortSignal): Promise<DropletSnapshot[]> {
    return this.#all('snapshots', 'snapshots', DropletSnapshot, { resource_type: 'droplet' }, signal);
  }
  async deleteSnapshot(id: string, signal: AbortSignal): Promise<void> {
    await this.#safe('DELETE', `snapshots/${encodeURIComponent(id)}`, {}, undefined, signal);
  }
  async tagImages(tag: string, ids: readonly string[], signal: AbortSignal): Promise<void> {
    await this.createTag(tag, signal);
    await this.#safe('POST', `tags/${tag}/resources`, {}, { resources: ids.map((id) => ({ resource_id: id, resource_type: 'image' })) }, signal);
  }
  async destroyByTag(tag: string, signal: AbortSignal): Promise<void> {
    await this.#safe('DELETE', 'droplets', { tag_name: tag }, undefined, signal);
  }
  keys(signal: AbortSignal): Promise<v.InferOutput<typeof Key>[]> {
    return this.#all('account/keys', 'ssh_keys', Key, {}, signal);
  }
  async addKey(name: string, publicKey: string, signal: AbortSignal): Promise<number> {
    return check(v.object({ ssh_key: Key }), await this.#safe('POST', 'account/keys', {}, { name, public_key: publicKey }, signal), 'account/keys').ssh_key.id;
  }
  async renameKey(id: number, name: string, signal: AbortSignal): Promise<void> {
    await this.#safe('PUT', `account/keys/${id}`, {}, { name }, signal);
  }
  sizes(signal: AbortSignal): Promise<v.InferOutput<typeof Size>[]> {
    return this.#all('sizes', 'sizes', Size, {}, signal);
  }
  async account(signal: AbortSignal): Promise<{ droplet_limit: number; status: string }> {
    return check(Account, await this.#safe('GET', 'account', {}, undefined, signal), 'account').account;
  }
  vpcs(signal: AbortSignal): Promise<v.InferOutput<typeof Vpc>[]> {
    return this.#all('vpcs', 'vpcs', Vpc, {}, signal);
  }
  async createVpc(name: string, region: string, range: string, signal: AbortSignal): Promise<string> {
    return check(v.object({ vpc: Vpc }), await this.#safe('POST', 'vpcs', {}, { name, region, ip_range: range }, signal), 'vpcs').vpc.id;
  }
  async deleteVpc(id: string, signal: AbortSignal): Promise<void> {
    await this.#safe('DELETE', `vpcs/${encodeURIComponent(id)}`, {}, undefined, signal);
  }
  firewalls(signal: AbortSignal): Promise<v.InferOutput<typeof Firewall>[]> {
    return this.#all('firewalls', 'firewalls', Firewall, {}, signal);
  }
  async createFirewall(body: object, signal: AbortSignal): Promise<void> {
    await this.#safe('POST', 'firewalls', {}, body, signal);
  }
  async deleteFirewall(id: string, signal: AbortSignal): Promise<void> {
    await this.#safe('DELETE', `firewalls/${encodeURIComponent(id)}`, {}, undefined, signal);
  }
  async addFirewallRules(id: string, rules: readonly InboundRule[], signal: AbortSignal): Promise<void> {
    await this.#safe('POST', `firewalls/${encodeURIComponent(id)}/rules`, {}, { inbound_rules: rules }, signal);
  }
  async addFirewallTag(id: string, tag: string, signal: AbortSignal): Promise<void> {
    await this.#safe('POST', `firewalls/${encodeURIComponent(id)}/tags`, {}, { tags: [tag] }, signal);
  }
  async deleteKey(id: string, signal: AbortSignal): Promise<void> {
    await this.#safe('DELETE', `account/keys/${encodeURIComponent(id)}`, {}, undefined, signal);
  }
  /** How many things carry the tag; null where there is no such tag. */
  async tagged(name: string, signal: AbortSignal): Promise<number | null> {
    try {
      return check(v.object({ tag: v.object({ resources: v.object({ count: v.number() }) }) }), await this.#safe('GET', `tags/${name}`, {}, undefined, signal), 'tags').tag.resources.count;
    } catch (error) {
      if (isNotFound(error)) return null;
      throw error;
    }
  }
  async deleteTag(name: string, signal: AbortSignal): Promise<void> {
    await this.#safe('DELETE', `tags/${name}`, {}, undefined, signal);
  }
  /** A tag must exist before a firewall can name it; one that exists already is left as it is. */
  async createTag(name: string, signal: AbortSignal): Promise<void> {
    await this.#safe('POST', 'tags', {}, { name }, signal);
  }
}

export function isNotFound(error: unknown): boolean {
  return isBeltError(error, 'driver') && error.message.endsWith('(not found)');
}

function check<S extends v.GenericSchema>(schema: S, reply: unknown, path: string): v.InferOutput<S> {
  const checked = v.safeParse(schema, reply);
  if (checked.success) return checked.output;
  const issue = checked.issues[0];
  throw new BeltError('driver', `DigitalOcean's answer for ${path} is not what its documentation says: ${v.getDotPath(issue) ?? ''} ${issue.message}`);
}
