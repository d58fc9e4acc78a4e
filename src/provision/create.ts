/** Machines in bulk: look first, write the intent down, let the driver make them, save each as it comes. */
import { makeContact } from '../bootstrap/first-contact.ts';
import { asBeltError, BeltError, type Outcome } from '../errors.ts';
import type { ClusterState } from '../inventory/state.ts';
import type { StateStore } from '../inventory/store.ts';
import { type CreateAsk, type CreatePlan, existingMachines, planCreate, settledOrders, unsettledNames } from './create-plan.ts';
import type { ClusterTag, Created, Driver, Machine } from './driver.ts';
import { type Down, isDown, sweep } from './fleet.ts';

export interface CreateDeps {
  readonly store: StateStore;
  readonly tag: ClusterTag;
  readonly driver: Driver;
  /** The drivers of other machines and died orders of the cluster. */
  readonly otherDrivers: readonly Driver[];
  readonly sshPublicKeys: readonly string[];
  /** Told of other clouds and regions that do not answer: what is remembered of them is taken to be there. */
  readonly onDown?: (down: Down) => void;
  readonly newId: () => string;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** Finds out what is there, takes in what a died run made, and plans. Throws `config` with every problem, `driver_*` when the cloud does not answer. */
export async function prepareCreate(ask: CreateAsk, deps: CreateDeps): Promise<CreatePlan> {
  const { store, driver, signal } = deps;
  await refuseProblems(driver, signal);
  const sweeps = await sweep([driver, ...deps.otherDrivers], deps.tag, signal);
  const down = sweeps.flatMap((one) => one.down);
  refuseUnanswered(ask, store.state, down);
  for (const one of down) deps.onDown?.(one);
  const swept = new Set(sweeps.map((one) => one.driver));
  const hasAnswered = (machine: Machine): boolean => swept.has(machine.driver) && !isDown(down, machine);
  const listed = sweeps.flatMap((one) => one.machines);
  const found = existingMachines(Object.values(store.state.machines), listed, hasAnswered, new Set(Object.keys(store.state.removals)), deps.now());
  const plan = planCreate(ask, { machines: found, orders: Object.values(store.state.orders), newId: deps.newId(), nowMs: deps.now() });
  const resumed = new Set(plan.orders.map((order) => order.id));
  const goingOn = Object.values(store.state.orders).filter((order) => resumed.has(order.id));
  // Recorded when the driver tells of them, under the names that it has settled by then.
  const unsettled = new Set(goingOn.flatMap((order) => [...unsettledNames(order, found)]));
  await store.change((state) => {
    for (const [name, machine] of Object.entries(state.machines)) if (swept.has(machine.driver) && !found.has(name)) forget(state, name);
    for (const machine of found.values()) {
      if (unsettled.has(machine.name)) continue;
      record(state, machine);
      pinInjected(state, machine.tags['belt.order'] ?? '', machine.name, deps.now());
    }
    for (const order of Object.values(state.orders)) order.machines = order.machines.filter(({ name }) => !found.has(name) || unsettled.has(name));
    for (const order of settledOrders(Object.values(state.orders), deps.now())) if (!resumed.has(order.id)) delete state.orders[order.id];
  });
  return plan;
}

/**
 * Without the list of the cloud that shall make the machines, or where a name may still come up that a died run ordered there, nobody knows which
 * names are taken: better nothing than twice. All else that is down holds up no create: what it had is remembered.
 */
function refuseUnanswered(ask: CreateAsk, state: Readonly<ClusterState>, down: readonly Down[]): void {
  const names = new Set(ask.machines.map(({ name }) => name));
  const ordered = Object.values(state.orders).flatMap(({ driver, machines }) => machines.map(({ name, region }) => ({ driver, region, name })));
  const needed = ordered.filter(({ name }) => names.has(name));
  const broken = down.find((one) => (one.driver === ask.driver && one.region === null) || needed.some((place) => isDown([one], place)));
  if (broken !== undefined) throw broken.error;
}

/** All that is wrong with configuration and credentials, before anything costs money. */
export async function refuseProblems(driver: Driver, signal: AbortSignal): Promise<void> {
  const problems = await driver.validate(signal);
  if (problems.length === 0) return;
  const lines = problems.map((problem) => `${problem.key === null ? '' : `${problem.key}: `}${problem.message}`);
  const text = lines.length === 1 ? `${driver.name}: ${lines[0]}` : `${driver.name}: ${lines.length} problems:\n${lines.map((line) => `  ${line}`).join('\n')}`;
  throw new BeltError('config', text, { next: problems.find((problem) => problem.next !== null)?.next ?? undefined });
}

/** Notes a machine as it was seen. */
export function record(state: ClusterState, machine: Machine): void {
  state.machines[machine.name] = { ...machine, tags: { ...machine.tags } };
}

/** Pins the throw-away host key that the order gave its machines. */
function pinInjected(state: ClusterState, orderId: string, name: string, nowMs: number): void {
  const contact = state.orders[orderId]?.contact;
  if (contact !== undefined) state.hostKeys[name] ??= { keys: [contact.hostKey], source: 'injected', pinnedAt: new Date(nowMs).toISOString() };
}

/** Forgets a machine and all that hangs on it. */
export function forget(state: ClusterState, name: string): void {
  delete state.machines[name];
  delete state.hostKeys[name];
  delete state.removals[name];
}

/** Carries out the plan's orders; outcomes in the order asked, existing machines left out. Never rejects but for a state that cannot be saved. */
export async function executeCreate(plan: CreatePlan, deps: CreateDeps, onProgress: (done: number, failed: number) => void = () => undefined): Promise<Outcome<Machine>[]> {
  const { store } = deps;
  await store.change((state) => {
    for (const { resumed, ...order } of plan.orders) {
      // A resumed order keeps the names that are not asked for today: they may still turn up.
      if (!resumed) state.orders[order.id] = deps.driver.abilities.userData ? { ...order, contact: makeContact(deps.sshPublicKeys) } : order;
    }
  });
  const outcomes: Outcome<Machine>[] = [];
  const counts = { done: 0, failed: 0 };
  for (const order of plan.orders) {
    outcomes.push(...(await executeOrder(order, deps, (ok) => {
      counts[ok ? 'done' : 'failed'] += 1;
      onProgress(counts.done, counts.failed);
    })));
  }
  return outcomes;
}

async function executeOrder(order: CreatePlan['orders'][number], deps: CreateDeps, onEach: (ok: boolean) => void): Promise<Outcome<Machine>[]> {
  const { store, tag, driver, signal } = deps;
  const settled = new Map<string, Outcome<Machine>>();
  let saved: Promise<void> = Promise.resolve();
  const settle = (created: Created): void => {
    const outcome: Outcome<Machine> = 'failed' in created ? { name: created.failed, ok: false, error: created.error } : { name: created.name, ok: true, value: created };
    settled.set(outcome.name, outcome);
    saved = store.change((state) => {
      if (outcome.ok) pinInjected(state, order.id, outcome.name, deps.now());
      noteSettled(state, order.id, outcome);
    });
    // Awaited at the end; until then a disk that fails must not be an unhandled rejection.
    saved.catch(() => undefined);
    onEach(outcome.ok);
  };
  let stopped: BeltError | null = null;
  try {
    const { id, machines, resumed, type, memoryMb, image, spot } = order;
    const ask = { ...tag, id, machines, resumed, type, memoryMb, image, spot, tags: {}, sshPublicKeys: deps.sshPublicKeys, userData: store.state.orders[id]?.contact?.userData ?? null };
    for await (const created of driver.create(ask, signal)) settle(created);
  } catch (error) {
    stopped = asBeltError(error, signal.aborted ? 'interrupted' : 'driver');
  }
  await saved;
  const why = stopped ?? new BeltError('driver', 'the driver said nothing about it', { next: 'belt doctor' });
  return order.machines.map(({ name }) => settled.get(name) ?? { name, ok: false, error: why });
}

/** A machine that was made or refused is no longer ordered; an order without names is over. */
function noteSettled(state: ClusterState, orderId: string, outcome: Outcome<Machine>): void {
  if (outcome.ok) record(state, outcome.value);
  const order = state.orders[orderId];
  if (order === undefined) return;
  order.machines = order.machines.filter((machine) => machine.name !== outcome.name);
  if (order.machines.length === 0) delete state.orders[orderId];
}
