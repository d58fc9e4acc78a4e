/** The `Driver` of DigitalOcean. Ownership is a tag on the droplet; creates go ten names a call; one list sweeps all regions. */
import { BeltError, type Outcome } from '../../src/errors.ts';
import type { CreateOrder, Created, Driver, Machine, MachineStatus, MachineType, OrderedMachine, PowerAction, Problem, ClusterTag } from '../../src/provision/driver.ts';
import { fanOut } from '../../src/provision/fan-out.ts';
import { pollDelayMs } from '../../src/provision/poll.ts';
import { realPace, type Pace } from '../../src/provision/rate-limit.ts';
import { CLOUD_RETRY, nextWaitMs } from '../../src/provision/retry.ts';
import { DigitalOceanApi, UnknownEffect, type ApiPorts, type Droplet } from './api.ts';
import { batchesOf, bodyOf, type Place } from './batch.ts';
import { BATCH } from './estimate.ts';
import { machineOf, statusOf, wholeCluster } from './machine.ts';
import { ensureFirewall, ensureKeys, ensureVpcs, removeNetwork } from './network.ts';
import type { DigitalOceanOptions } from './options.ts';
import { clusterTag, EVERY, isOrderTag, orderTag, readTags } from './tags.ts';

/** After a lost answer: how often, and how far apart, the droplets are looked for. Tags can lag behind the droplet. */
const LOOKUPS = 3;
const LOOKUP_GAP_MS = 2_000;
/** A clean stop is given this long before the power is cut, and any change of state this long altogether. */
const SHUTDOWN_MS = 60_000;
const SETTLE_MS = 300_000;
const POLL_MS = 3_000;

/** Makes the driver; nothing is asked of the cloud, and do-wrapper is not loaded, before the first method is called. */
export function createDriver(options: DigitalOceanOptions, ports: ApiPorts = {}): Driver {
  return new DigitalOceanDriver(options, ports);
}

class DigitalOceanDriver implements Driver {
  readonly name = 'digitalocean';
  readonly abilities = { userData: true, resize: true, pause: false, destroys: true };
  readonly #options: DigitalOceanOptions;
  readonly #ports: ApiPorts;
  readonly #pace: Pace;
  #opened: Promise<DigitalOceanApi> | undefined;

  constructor(options: DigitalOceanOptions, ports: ApiPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#pace = ports.pace ?? realPace;
  }

  #api(): Promise<DigitalOceanApi> {
    return (this.#opened ??= DigitalOceanApi.open(this.#options, this.#ports));
  }

  async validate(signal: AbortSignal): Promise<Problem[]> {
    const problems: Problem[] = [];
    if (this.#options.token === undefined) problems.push({ key: 'token', message: 'no DigitalOcean token', next: 'set DIGITALOCEAN_ACCESS_TOKEN' });
    if (this.#options.firewall && this.#options.allow_from === undefined) {
      problems.push({ key: 'allow_from', message: 'belt does not know from where you reach the machines, and opens no port to the world by itself', next: 'set allow_from to your address, e.g. [203.0.113.7], or [anywhere] (ports 22 and 2378 only)' });
    }
    if (this.#options.token === undefined) return problems;
    try {
      const account = await (await this.#api()).account(signal);
      if (account.status === 'locked') problems.push({ key: 'token', message: 'the DigitalOcean account is locked', next: 'write to DigitalOcean support' });
    } catch (error) {
      if (!(error instanceof BeltError) || error.code === 'interrupted') throw error;
      problems.push({ key: 'token', message: error.message, next: error.next ?? null });
    }
    return problems;
  }

  async types(signal: AbortSignal): Promise<MachineType[]> {
    const sizes = await (await this.#api()).sizes(signal);
    return sizes
      .filter((size) => size.available)
      .map((size) => ({ name: size.slug, memoryMb: size.memory, vcpus: size.vcpus, pricePerHour: size.price_hourly, regions: size.regions }))
      .sort((a, b) => a.memoryMb - b.memoryMb || a.pricePerHour - b.pricePerHour);
  }

  async *create(order: CreateOrder, signal: AbortSignal): AsyncIterable<Created> {
    const api = await this.#api();
    const there = new Map<string, Droplet>();
    // Tags can lag behind the droplet, after a run that died as after an answer that was lost.
    if (order.resumed === true) await this.#pace.sleep(LOOKUP_GAP_MS, signal);
    for (const droplet of await api.dropletsByTag(orderTag(order.id), signal)) if (!there.has(droplet.name)) there.set(droplet.name, droplet);
    for (const droplet of there.values()) yield machineOf(droplet, this.#options.ssh_user);
    const missing = order.machines.filter((machine) => !there.has(machine.name));
    if (missing.length === 0) return;
    const regions = [...new Set(missing.map((machine) => machine.region))];
    await ensureFirewall(api, order.clusterId, this.#options, signal);
    const vpcs = await ensureVpcs(api, order.clusterId, regions, signal);
    const keys = await ensureKeys(api, order.clusterId, order.sshPublicKeys, this.#options, signal);
    const batches = regions.flatMap((region) => {
      const place: Place = { vpc: vpcs.get(region), keys, exhausted: undefined };
      return batchesOf(missing.filter((machine) => machine.region === region)).map((machines) => ({ machines, place }));
    });
    yield* fanOut(batches, this.#options.concurrency, ({ machines, place }) => this.#createBatch(api, order, machines, place, signal));
  }

  /** One call of up to ten. After an answer was lost, what it made is looked up and only the rest is asked for again. */
  async #createBatch(api: DigitalOceanApi, order: CreateOrder, batch: readonly OrderedMachine[], place: Place, signal: AbortSignal): Promise<Created[]> {
    const made: Created[] = [];
    let names = batch.map((machine) => machine.name);
    let spentMs = 0;
    let attempt = 1;
    let atOnce = BATCH;
    const take = (droplets: readonly Droplet[]): void => {
      made.push(...droplets.map((droplet) => machineOf(droplet, this.#options.ssh_user)));
      names = names.filter((name) => !droplets.some((droplet) => droplet.name === name));
    };
    while (names.length > 0) {
      try {
        if (place.exhausted !== undefined) throw place.exhausted;
        take(await api.createDroplets(bodyOf(order, names.slice(0, atOnce), (batch[0] as OrderedMachine).region, place, this.#options), signal));
      } catch (thrown) {
        if (thrown instanceof UnknownEffect) take(await this.#lookUp(api, order.id, names, signal));
        const error = thrown instanceof UnknownEffect ? thrown.error : thrown;
        if (!(error instanceof BeltError) || error.code === 'interrupted') throw error;
        // A limit refuses a call whole: smaller calls use up what is left of it, and when one machine is too many, so are all others.
        if (error.code === 'driver_quota' || error.code === 'driver_capacity') {
          const asked = Math.min(atOnce, names.length);
          atOnce = Math.ceil(asked / 2);
          if (asked > 1 && place.exhausted === undefined) continue;
          place.exhausted = error;
        }
        const waitMs = nextWaitMs(this.#ports.retry ?? CLOUD_RETRY, error, attempt, spentMs, (this.#ports.random ?? Math.random)());
        if (waitMs === null) return [...made, ...names.map((name) => ({ failed: name, error: new BeltError(error.code, error.message, { machine: name, next: error.next, cause: error }) }))];
        attempt += 1;
        spentMs += waitMs;
        await this.#pace.sleep(waitMs, signal);
      }
    }
    return made;
  }

  /** By the order's tag, and by name for what the tag does not find yet. */
  async #lookUp(api: DigitalOceanApi, orderId: string, names: readonly string[], signal: AbortSignal): Promise<Droplet[]> {
    const found = new Map<string, Droplet>();
    for (let n = 0; n < LOOKUPS && found.size < names.length; n += 1) {
      await this.#pace.sleep(LOOKUP_GAP_MS, signal);
      for (const droplet of await api.dropletsByTag(orderTag(orderId), signal)) if (names.includes(droplet.name)) found.set(droplet.name, droplet);
    }
    for (const name of names) {
      if (found.has(name)) continue;
      const byName = (await api.dropletsByName(name, signal)).find((droplet) => droplet.tags.includes(orderTag(orderId)));
      if (byName !== undefined) found.set(name, byName);
    }
    return [...found.values()];
  }

  async list(cluster: ClusterTag, signal: AbortSignal): Promise<Machine[]> {
    const droplets = await (await this.#api()).look().dropletsByTag(clusterTag(cluster.clusterId), signal);
    return droplets.map((droplet) => machineOf(droplet, this.#options.ssh_user));
  }

  async power(ids: readonly string[], action: PowerAction, signal: AbortSignal): Promise<Outcome[]> {
    if (action === 'pause' || action === 'unpause') return ids.map((id) => failed(id, new BeltError('driver', 'DigitalOcean cannot pause a droplet', { next: 'belt stop keeps it, switched off' })));
    const api = await this.#api();
    const wanted: MachineStatus = action === 'start' || action === 'reboot' ? 'active' : 'off';
    const before = await this.#byId(api, signal);
    const outcomes = new Map<string, Outcome>();
    const acting: string[] = [];
    for (const id of ids) {
      const droplet = before.get(id);
      if (droplet === undefined) outcomes.set(id, failed(id, new BeltError('driver', `there is no droplet ${id}`)));
      else if (action !== 'reboot' && statusOf(droplet) === wanted) outcomes.set(id, { name: id, ok: true, value: undefined, note: wanted === 'off' ? 'already off' : 'already active' });
      else acting.push(id);
    }
    const type = { start: 'power_on', stop: 'shutdown', kill: 'power_off', reboot: 'reboot' }[action];
    const refused = await this.#act(api, before, acting, type, {}, signal);
    await this.#settle(api, acting, { word: wanted, reached: (droplet) => statusOf(droplet) === wanted, mayCut: action === 'stop', refused }, outcomes, signal);
    return ids.map((id) => outcomes.get(id) as Outcome);
  }

  /**
   * The act on each droplet, or in one call where it is on every droplet of a cluster: 5,000 calls would eat the hour's limit. A refusal is only
   * a hint, since an act whose answer was lost is refused when it is repeated: what the droplets look like afterwards decides.
   */
  async #act(api: DigitalOceanApi, before: ReadonlyMap<string, Droplet>, ids: readonly string[], type: string, more: object, signal: AbortSignal): Promise<Map<string, BeltError>> {
    const refused = new Map<string, BeltError>();
    const whole = ids.length > BATCH && type !== 'reboot' && type !== 'resize' ? wholeCluster(before, ids) : null;
    const run = async (id: string): Promise<[string, BeltError][]> => {
      try {
        await api.act(id, type, more, signal);
        return [];
      } catch (error) {
        if (!(error instanceof BeltError) || error.code === 'interrupted') throw error;
        return [[id, error]];
      }
    };
    if (whole !== null) await api.actByTag(whole, type, signal);
    else for await (const [id, error] of fanOut(ids, this.#options.concurrency, run)) refused.set(id, error);
    return refused;
  }

  /** One list a round until all are as wanted; a shutdown that a machine ignores becomes a power cut. */
  async #settle(api: DigitalOceanApi, ids: readonly string[], goal: Goal, outcomes: Map<string, Outcome>, signal: AbortSignal): Promise<void> {
    const start = this.#pace.now();
    let waiting = [...ids];
    let cut = !goal.mayCut;
    for (let poll = 0; waiting.length > 0; poll += 1) {
      const now = await this.#byId(api, signal);
      for (const id of waiting) {
        const droplet = now.get(id);
        const refusal = goal.refused.get(id);
        if (droplet === undefined) outcomes.set(id, failed(id, new BeltError('driver', `droplet ${id} is gone`)));
        else if (goal.reached(droplet) && !droplet.locked) outcomes.set(id, { name: id, ok: true, value: undefined });
        else if (refusal !== undefined && !droplet.locked) outcomes.set(id, failed(id, refusal));
      }
      waiting = waiting.filter((id) => !outcomes.has(id));
      const elapsedMs = this.#pace.now() - start;
      if (waiting.length === 0) return;
      if (elapsedMs > SETTLE_MS) {
        for (const id of waiting) outcomes.set(id, failed(id, new BeltError('timeout', `droplet ${id} is not ${goal.word} after ${SETTLE_MS / 60_000} minutes`)));
        return;
      }
      if (!cut && elapsedMs > SHUTDOWN_MS) {
        cut = true;
        await this.#act(api, now, waiting, 'power_off', {}, signal);
      }
      await this.#pace.sleep(pollDelayMs(poll, now.size, POLL_MS), signal);
    }
  }

  async resize(ids: readonly string[], type: string, signal: AbortSignal): Promise<Outcome[]> {
    const api = await this.#api();
    const before = await this.#byId(api, signal);
    const outcomes = new Map<string, Outcome>();
    for (const id of ids) {
      const droplet = before.get(id);
      if (droplet === undefined) outcomes.set(id, failed(id, new BeltError('driver', `there is no droplet ${id}`)));
      else if (droplet.size_slug === type) outcomes.set(id, { name: id, ok: true, value: undefined, note: `already ${type}` });
    }
    const changing = ids.filter((id) => !outcomes.has(id));
    const running = changing.filter((id) => statusOf(before.get(id) as Droplet) === 'active');
    for (const outcome of await this.power(running, 'stop', signal)) if (!outcome.ok) outcomes.set(outcome.name, outcome);
    const off = changing.filter((id) => !outcomes.has(id));
    // Without `disk` the droplet can be made smaller again later.
    const refused = await this.#act(api, before, off, 'resize', { size: type, disk: false }, signal);
    await this.#settle(api, off, { word: type, reached: (droplet) => droplet.size_slug === type, mayCut: false, refused }, outcomes, signal);
    // What ran before runs again, whether it was changed or refused.
    for (const outcome of await this.power(running, 'start', signal)) if (!outcome.ok && outcomes.get(outcome.name)?.ok === true) outcomes.set(outcome.name, outcome);
    return ids.map((id) => outcomes.get(id) as Outcome);
  }

  async destroy(ids: readonly string[], signal: AbortSignal): Promise<Outcome[]> {
    const api = await this.#api();
    const before = await this.#byId(api, signal);
    const outcomes = new Map<string, Outcome>();
    for (const id of ids) if (!before.has(id)) outcomes.set(id, { name: id, ok: true, value: undefined, note: 'already gone' });
    const there = ids.filter((id) => before.has(id));
    const whole = there.length > BATCH ? wholeCluster(before, there) : null;
    if (whole === null) {
      const run = async (id: string): Promise<Outcome[]> => {
        try {
          await api.destroy(id, signal);
          return [{ name: id, ok: true, value: undefined }];
        } catch (error) {
          if (!(error instanceof BeltError) || error.code === 'interrupted') throw error;
          return [/not found/.test(error.message) ? { name: id, ok: true, value: undefined, note: 'already gone' } : failed(id, error)];
        }
      };
      for await (const outcome of fanOut(there, this.#options.concurrency, run)) outcomes.set(outcome.name, outcome);
    } else {
      await api.destroyByTag(whole, signal);
      for (const id of there) outcomes.set(id, { name: id, ok: true, value: undefined });
    }
    await this.#removeNetworks(api, before, there, signal);
    return ids.map((id) => outcomes.get(id) as Outcome);
  }

  /** A cluster whose last droplet went leaves no firewall, network, key or tag behind. What cannot be removed is no fault of the droplets that went; `belt doctor` finds it. */
  async #removeNetworks(api: DigitalOceanApi, before: ReadonlyMap<string, Droplet>, gone: readonly string[], signal: AbortSignal): Promise<void> {
    const tags = gone.map((id) => (before.get(id) as Droplet).tags);
    for (const clusterId of new Set(tags.map((those) => readTags(those)['belt.cluster-id']))) {
      if (clusterId === undefined) continue;
      const orders = new Set(tags.filter((those) => those.includes(clusterTag(clusterId))).flatMap((those) => those.filter(isOrderTag)));
      try {
        if ((await api.dropletsByTag(clusterTag(clusterId), signal)).length === 0) await removeNetwork(api, clusterId, [...orders], signal);
      } catch (error) {
        if (!(error instanceof BeltError) || error.code === 'interrupted') throw error;
      }
    }
  }

  async #byId(api: DigitalOceanApi, signal: AbortSignal): Promise<Map<string, Droplet>> {
    return new Map((await api.dropletsByTag(EVERY, signal)).map((droplet) => [String(droplet.id), droplet]));
  }
}

/** What {@link DigitalOceanDriver} waits for after an act. */
interface Goal {
  readonly word: string;
  readonly reached: (droplet: Droplet) => boolean;
  /** Cut the power when a clean stop takes too long. */
  readonly mayCut: boolean;
  /** What the API refused; it counts where the goal is not reached. */
  readonly refused: ReadonlyMap<string, BeltError>;
}

function failed(name: string, error: BeltError): Outcome {
  return { name, ok: false, error };
}
