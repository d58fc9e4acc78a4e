/** The cases of the driver suite, each named like a sentence. Every one starts on an empty cloud. */
import { expect } from 'vitest';
import { isBeltError, type Outcome } from '../../src/errors.ts';
import type { ClusterTag, Created, CreateOrder, Driver, Machine, MachineStatus } from '../../src/provision/driver.ts';
import type { CallKind, DriverHarness } from './driver-harness.ts';

export interface Stage {
  readonly harness: DriverHarness;
  readonly cluster: ClusterTag;
  readonly signal: AbortSignal;
}
export type DriverCase = (stage: Stage) => Promise<void>;

/** Looks at `list` before a machine's state counts as never coming. */
const MAX_LOOKS = 200;
let orders = 0;

/** An order of `count` machines, dealt out over the two regions. */
export function orderOf({ harness, cluster }: Stage, count: number, overrides: Partial<CreateOrder> = {}): CreateOrder {
  orders += 1;
  return {
    ...cluster,
    id: `${cluster.clusterId.slice(0, 20)}${orders.toString(16).padStart(12, '0')}`,
    machines: Array.from({ length: count }, (_, index) => ({ name: `node${index + 1}`, region: harness.regions[index % 2] as string, zone: null })),
    type: harness.types[0],
    memoryMb: null,
    image: null,
    sshPublicKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKlPcpBnzv3sGwrkISTvVVkZvjlPZ3gMUmfe1AzkpYP9 conformance'],
    userData: null,
    tags: { purpose: 'conformance' },
    spot: false,
    ...overrides,
  };
}

async function create(driver: Driver, order: CreateOrder, signal: AbortSignal): Promise<{ made: Machine[]; failed: Extract<Created, { failed: string }>[] }> {
  const made: Machine[] = [];
  const failed: Extract<Created, { failed: string }>[] = [];
  for await (const created of driver.create(order, signal)) {
    if ('failed' in created) failed.push(created);
    else made.push(created);
  }
  return { made, failed };
}

/** Creates all of the order, waits until all are active, and gives them as listed. */
async function createAll(stage: Stage, driver: Driver, order: CreateOrder): Promise<Machine[]> {
  const { made, failed } = await create(driver, order, stage.signal);
  expect(failed.map(({ failed: name, error }) => `${name}: ${error.message}`)).toEqual([]);
  expect(namesOf(made)).toEqual(order.machines.map(({ name }) => name).sort());
  return settled(stage, driver, 'active', order.machines.length);
}

async function settled({ harness, cluster, signal }: Stage, driver: Driver, status: MachineStatus, count: number): Promise<Machine[]> {
  let seen: Machine[] = [];
  for (let look = 0; look < MAX_LOOKS; look += 1) {
    seen = await driver.list(cluster, signal);
    if (seen.length === count && seen.every((machine) => machine.status === status)) return seen;
    await harness.settle();
  }
  throw new Error(`${count} machines never became ${status}: ${seen.map((machine) => `${machine.name} ${machine.status}`).join(', ')}`);
}

const namesOf = (machines: readonly { readonly name: string }[]): string[] => machines.map(({ name }) => name).sort();
const idsOf = (machines: readonly Machine[]): string[] => machines.map(({ id }) => id);

function allOk(outcomes: readonly Outcome[], ids: readonly string[]): void {
  expect(outcomes.flatMap((outcome) => (outcome.ok ? [] : [`${outcome.name}: ${outcome.error.message}`]))).toEqual([]);
  expect(outcomes.map(({ name }) => name).sort()).toEqual([...ids].sort());
}

/** The promise of all promises: exactly the machines of the order exist, each once. */
async function nothingDoubled({ harness, cluster }: Stage, order: CreateOrder): Promise<void> {
  expect(namesOf(await harness.onCloud(cluster))).toEqual(order.machines.map(({ name }) => name).sort());
}

/** A fault that passes is survived inside the call: the caller sees success and the cloud holds no more than was asked. */
async function createSurvives(stage: Stage): Promise<void> {
  const driver = await stage.harness.driver();
  const order = orderOf(stage, 3);
  await createAll(stage, driver, order);
  await nothingDoubled(stage, order);
}

async function changesSurvive(stage: Stage, call: CallKind, inject: () => void | Promise<void>): Promise<void> {
  const driver = await stage.harness.driver();
  const machines = await createAll(stage, driver, orderOf(stage, 3));
  await inject();
  if (call === 'list') {
    expect(namesOf(await driver.list(stage.cluster, stage.signal))).toEqual(namesOf(machines));
  } else if (call === 'destroy') {
    allOk(await driver.destroy(idsOf(machines), stage.signal), idsOf(machines));
    expect(await stage.harness.onCloud(stage.cluster)).toEqual([]);
  } else {
    allOk(await driver.power(idsOf(machines), 'stop', stage.signal), idsOf(machines));
    await settled(stage, driver, 'off', 3);
  }
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

function expectMachine(machine: Machine, driver: Driver, order: CreateOrder): void {
  const ordered = order.machines.find(({ name }) => name === machine.name);
  expect(machine).toMatchObject({ driver: driver.name, region: ordered?.region, size: order.type, status: 'active' });
  expect(machine.datacenter.startsWith(`${driver.name}:${machine.region}`)).toBe(true);
  expect(machine.publicIpv4 ?? machine.privateIpv4).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
  expect(machine.tags).toMatchObject(order.tags);
  expect(machine.id).not.toBe('');
  expect(machine.createdAt === null || !Number.isNaN(Date.parse(machine.createdAt))).toBe(true);
  expect(machine.sshPort).toBeGreaterThan(0);
}

const survives = (call: CallKind, fault: (call: CallKind) => Parameters<DriverHarness['inject']>[0]): DriverCase => {
  if (call !== 'create') return (stage) => changesSurvive(stage, call, () => stage.harness.inject(fault(call)));
  return async (stage) => {
    await stage.harness.inject(fault('create'));
    await createSurvives(stage);
  };
};

/** The wait that throttling names: so long that what was on its way already is told from what came too early, also on a busy machine. */
const NAMED_WAIT_SECONDS = 20;

/** Throttling is survived, and the wait that was named is kept to: no call comes early. */
const obeys = (call: CallKind, retryAfterSeconds: number | null): DriverCase => async (stage) => {
  await survives(call, (kind) => ({ kind: 'throttle', call: kind, times: 3, retryAfterSeconds }))(stage);
  expect(stage.harness.earlyCalls()).toBe(0);
};

export const DRIVER_CASES = {
  'validates what is well without a problem': async (stage) => {
    expect(await (await stage.harness.driver()).validate(stage.signal)).toEqual([]);
  },
  'offers types, the two of the harness among them': async ({ harness, signal }) => {
    const types = await (await harness.driver()).types(signal);
    expect(types.map(({ name }) => name)).toEqual(expect.arrayContaining([...harness.types]));
    for (const type of types) expect(type.memoryMb).toBeGreaterThan(0);
  },
  'creates one machine as ordered': async (stage) => {
    const driver = await stage.harness.driver();
    const order = orderOf(stage, 1);
    const [machine] = await createAll(stage, driver, order);
    expectMachine(machine as Machine, driver, order);
    await nothingDoubled(stage, order);
  },
  'creates a hundred over two regions': async (stage) => {
    const driver = await stage.harness.driver();
    const order = orderOf(stage, 100);
    const machines = await createAll(stage, driver, order);
    for (const machine of machines) expectMachine(machine, driver, order);
    expect(new Set(machines.map(({ id }) => id)).size).toBe(100);
    expect(new Set(machines.map((machine) => machine.publicIpv4 ?? machine.privateIpv4)).size).toBe(100);
    await nothingDoubled(stage, order);
  },
  'lists what it created and nothing of another cluster of the same name': async (stage) => {
    const driver = await stage.harness.driver();
    const other: Stage = { ...stage, cluster: { cluster: stage.cluster.cluster, clusterId: stage.cluster.clusterId.split('').reverse().join('') } };
    const mine = await createAll(stage, driver, orderOf(stage, 2));
    const theirs = await createAll(other, driver, orderOf(other, 1));
    expect(idsOf(await driver.list(stage.cluster, stage.signal)).sort()).toEqual(idsOf(mine).sort());
    expect(idsOf(await driver.list(other.cluster, stage.signal))).toEqual(idsOf(theirs));
    allOk(await driver.destroy(idsOf(theirs), stage.signal), idsOf(theirs));
  },
  'a new process finds every machine by its tags': async (stage) => {
    const machines = await createAll(stage, await stage.harness.driver(), orderOf(stage, 3));
    const found = await (await stage.harness.driver()).list(stage.cluster, stage.signal);
    const byName = (left: Machine, right: Machine): number => (left.name < right.name ? -1 : 1);
    expect(found.sort(byName)).toEqual(machines.sort(byName));
  },
  'the same order twice makes nothing twice': async (stage) => {
    const order = orderOf(stage, 5);
    const first = await createAll(stage, await stage.harness.driver(), order);
    const second = await createAll(stage, await stage.harness.driver(), order);
    expect(idsOf(second).sort()).toEqual(idsOf(first).sort());
    await nothingDoubled(stage, order);
  },
  'a caller that dies before it saved anything is continued by the next': async (stage) => {
    const order = orderOf(stage, 12);
    const dying = (await stage.harness.driver()).create(order, stage.signal)[Symbol.asyncIterator]();
    await dying.next();
    await dying.return?.();
    await createAll(stage, await stage.harness.driver(), order);
    await nothingDoubled(stage, order);
  },
  'create stops soon after its signal and leaves nothing the next run does not find': async (stage) => {
    const order = orderOf(stage, 12);
    const stop = new AbortController();
    const driver = await stage.harness.driver();
    const failed = await rejection(
      (async () => {
        for await (const _ of driver.create(order, stop.signal)) stop.abort();
      })(),
    );
    if (failed !== undefined) expect(isBeltError(failed, 'interrupted') || (failed as Error).name === 'AbortError', String(failed)).toBe(true);
    await createAll(stage, await stage.harness.driver(), order);
    await nothingDoubled(stage, order);
  },
  'stop, start, kill and reboot, each twice': async (stage) => {
    const driver = await stage.harness.driver();
    const ids = idsOf(await createAll(stage, driver, orderOf(stage, 3)));
    for (const [action, status] of [['stop', 'off'], ['start', 'active'], ['kill', 'off'], ['start', 'active'], ['reboot', 'active']] as const) {
      allOk(await driver.power(ids, action, stage.signal), ids);
      await settled(stage, driver, status, 3);
      allOk(await driver.power(ids, action, stage.signal), ids);
      await settled(stage, driver, status, 3);
    }
  },
  'pause and unpause': async (stage) => {
    const driver = await stage.harness.driver();
    const ids = idsOf(await createAll(stage, driver, orderOf(stage, 2)));
    allOk(await driver.power(ids, 'pause', stage.signal), ids);
    for (const machine of await driver.list(stage.cluster, stage.signal)) expect(machine.status).not.toBe('active');
    allOk(await driver.power(ids, 'unpause', stage.signal), ids);
    await settled(stage, driver, 'active', 2);
  },
  'resizes, twice': async (stage) => {
    const driver = await stage.harness.driver();
    const ids = idsOf(await createAll(stage, driver, orderOf(stage, 2)));
    for (const _ of [1, 2]) {
      allOk(await driver.resize(ids, stage.harness.types[1], stage.signal), ids);
      const after = await settled(stage, driver, 'active', 2);
      expect(after.map(({ size }) => size)).toEqual([stage.harness.types[1], stage.harness.types[1]]);
    }
  },
  'destroys, twice': async (stage) => {
    const driver = await stage.harness.driver();
    const ids = idsOf(await createAll(stage, driver, orderOf(stage, 3)));
    allOk(await driver.destroy(ids, stage.signal), ids);
    expect(await stage.harness.onCloud(stage.cluster)).toEqual([]);
    expect(await driver.list(stage.cluster, stage.signal)).toEqual([]);
    const again = await driver.destroy(ids, stage.signal);
    allOk(again, ids);
    expect(again.map((outcome) => (outcome.ok ? outcome.note : null))).toEqual(ids.map(() => 'already gone'));
  },
  'an id that is gone fails alone': async (stage) => {
    const driver = await stage.harness.driver();
    const [gone, kept] = idsOf(await createAll(stage, driver, orderOf(stage, 2))) as [string, string];
    await driver.destroy([gone], stage.signal);
    const outcomes = await driver.power([gone, kept], 'stop', stage.signal);
    expect(Object.fromEntries(outcomes.map(({ name, ok }) => [name, ok]))).toEqual({ [gone]: false, [kept]: true });
    await settled(stage, driver, 'off', 1);
  },
  'create: the reply is lost after success': survives('create', (call) => ({ kind: 'lost-reply', call, times: 1 })),
  'list: the reply is lost': survives('list', (call) => ({ kind: 'lost-reply', call, times: 1 })),
  'power: the reply is lost after success': survives('change', (call) => ({ kind: 'lost-reply', call, times: 1 })),
  'destroy: the reply is lost after success': survives('destroy', (call) => ({ kind: 'lost-reply', call, times: 1 })),
  'create: throttled with a wait named': obeys('create', NAMED_WAIT_SECONDS),
  'create: throttled with no wait named': obeys('create', null),
  'list: throttled with a wait named': obeys('list', NAMED_WAIT_SECONDS),
  'list: throttled with no wait named': obeys('list', null),
  'power: throttled with a wait named': obeys('change', NAMED_WAIT_SECONDS),
  'destroy: throttled with no wait named': obeys('destroy', null),
  'create: the cloud fails and recovers': survives('create', (call) => ({ kind: 'server-error', call, times: 2 })),
  'list: the cloud fails and recovers': survives('list', (call) => ({ kind: 'server-error', call, times: 2 })),
  'power: the cloud fails and recovers': survives('change', (call) => ({ kind: 'server-error', call, times: 2 })),
  'destroy: the cloud fails and recovers': survives('destroy', (call) => ({ kind: 'server-error', call, times: 2 })),
  'create: slow replies': survives('create', (call) => ({ kind: 'slow', call, times: 3 })),
  'list: slow replies': survives('list', (call) => ({ kind: 'slow', call, times: 3 })),
  'lists that come in pages are read to the end': async (stage) => {
    const driver = await stage.harness.driver();
    await stage.harness.inject({ kind: 'page-size', size: 7 });
    const machines = await createAll(stage, driver, orderOf(stage, 23));
    expect(new Set(idsOf(machines)).size).toBe(23);
  },
  'capacity for a part: what could be made is made, the rest is named': async (stage) => {
    await partial(stage, 'capacity', 'driver_capacity');
  },
  'quota for a part: what could be made is made, the rest is named': async (stage) => {
    await partial(stage, 'quota', 'driver_quota');
  },
  'bad credentials are one error that says so, and validate finds them': async (stage) => {
    const driver = await stage.harness.driver();
    await stage.harness.inject({ kind: 'bad-credentials' });
    expect(isBeltError(await rejection(driver.list(stage.cluster, stage.signal)), 'driver_auth')).toBe(true);
    expect((await driver.validate(stage.signal)).length).toBeGreaterThan(0);
    const order = orderOf(stage, 2);
    const errors: unknown[] = [];
    const thrown = await rejection(create(driver, order, stage.signal).then(({ failed }) => errors.push(...failed.map(({ error }) => error))));
    if (thrown !== undefined) errors.push(thrown);
    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors) expect(isBeltError(error, 'driver_auth')).toBe(true);
  },
  'a clock ten minutes off changes nothing': async (stage) => {
    await stage.harness.inject({ kind: 'clock-skew', ms: 600_000 });
    await createSurvives(stage);
  },
} satisfies Record<string, DriverCase>;

/** Room for 4 of 10: at least one and at most 4 are made, each of the ten is accounted for exactly once, and none is doubled. */
async function partial(stage: Stage, kind: 'capacity' | 'quota', code: 'driver_capacity' | 'driver_quota'): Promise<void> {
  const driver = await stage.harness.driver();
  const order = orderOf(stage, 10);
  await stage.harness.inject({ kind, machines: 4 });
  const { made, failed } = await create(driver, order, stage.signal);
  expect([...made.map(({ name }) => name), ...failed.map(({ failed: name }) => name)].sort()).toEqual(order.machines.map(({ name }) => name).sort());
  expect(made.length).toBeLessThanOrEqual(4);
  expect(made.length).toBeGreaterThan(0);
  for (const { error } of failed) expect(error.code).toBe(code);
  expect(namesOf(await stage.harness.onCloud(stage.cluster))).toEqual(namesOf(made));
}
