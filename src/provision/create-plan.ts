/** What a `create` would do, as data: what is there already, which died order goes on, what is ordered anew. Pure. */
import type { OrderRecord } from '../inventory/state.ts';
import type { Machine, OrderedMachine } from './driver.ts';

/** What was asked, in the driver's own terms. */
export interface CreateAsk {
  readonly driver: string;
  readonly machines: readonly OrderedMachine[];
  readonly type: string;
  readonly memoryMb: number | null;
  readonly image: string | null;
  readonly spot: boolean;
}

export interface CreatePlan {
  /** Machines of asked names that exist: left alone. */
  readonly existing: readonly Machine[];
  /** Orders to give to the driver; one that was stored by a run that died keeps its id, so that the driver recognizes what it made. */
  readonly orders: readonly (OrderRecord & { readonly resumed: boolean })[];
}

/** Machines this young may be missing from a cloud's list although they exist (EC2's eventual consistency), milliseconds. */
export const LIST_LAG_MS = 600_000;

export interface CreateFacts {
  /** By name: what exists, as listed or as remembered. */
  readonly machines: ReadonlyMap<string, Machine>;
  readonly orders: readonly OrderRecord[];
  /** For a new order: 32 hex digits. */
  readonly newId: string;
  readonly nowMs: number;
}

export function planCreate(ask: CreateAsk, facts: CreateFacts): CreatePlan {
  const orders: (OrderRecord & { resumed: boolean })[] = [];
  let wanted = ask.machines;
  for (const order of facts.orders) {
    if (!isSameAsk(order, ask)) continue;
    const asked = new Set(wanted.map(({ name }) => name));
    const unsettled = unsettledNames(order, facts.machines);
    // As they were ordered, whatever the order they are asked in now: calls were cut by it, and are known again by their names.
    const again = order.machines.filter(({ name }) => asked.has(name) && (unsettled.has(name) || !facts.machines.has(name)));
    if (again.length === 0) continue;
    orders.push({ ...order, machines: again, resumed: true });
    const taken = new Set(again.map(({ name }) => name));
    wanted = wanted.filter(({ name }) => !taken.has(name));
  }
  const existing = wanted.flatMap(({ name }) => facts.machines.get(name) ?? []);
  const missing = wanted.filter(({ name }) => !facts.machines.has(name));
  if (missing.length > 0) {
    const { driver, type, memoryMb, image, spot } = ask;
    orders.push({ id: facts.newId, driver, type, memoryMb, image, spot, machines: missing, askedAt: new Date(facts.nowMs).toISOString(), resumed: false });
  }
  return { existing, orders };
}

/**
 * Names of machines that the order made and that its driver has not told of yet, so that they may be settled by nothing but the order of a list
 * (Azure's members of a scale set before their tag).
 */
export function unsettledNames(order: OrderRecord, machines: ReadonlyMap<string, Machine>): Set<string> {
  const made = order.machines.filter(({ name }) => machines.get(name)?.tags['belt.order'] === order.id);
  return new Set(made.map(({ name }) => name));
}

function isSameAsk(order: OrderRecord, ask: CreateAsk): boolean {
  return order.driver === ask.driver && order.type === ask.type && order.image === ask.image && order.spot === ask.spot;
}

/** What belt takes to exist: what is listed, and what is remembered but too young to be missed, or of a place that has not answered. */
export function existingMachines(
  remembered: readonly Machine[], listed: readonly Machine[], hasAnswered: (machine: Machine) => boolean, removals: ReadonlySet<string>, nowMs: number,
): Map<string, Machine> {
  const found = new Map(listed.map((machine) => [machine.name, machine]));
  for (const machine of remembered) {
    if (found.has(machine.name)) continue;
    const isYoung = machine.createdAt !== null && nowMs - Date.parse(machine.createdAt) < LIST_LAG_MS && !removals.has(machine.name);
    if (!hasAnswered(machine) || isYoung) found.set(machine.name, machine);
  }
  return found;
}

/** Names of machines that were asked for so lately that a cloud may have made them and not list them yet. `known`: those that are listed or remembered. */
export function unseenMachines(orders: readonly OrderRecord[], known: ReadonlySet<string>, nowMs: number): string[] {
  const young = orders.filter(({ askedAt }) => nowMs - Date.parse(askedAt) <= LIST_LAG_MS);
  return young.flatMap(({ machines }) => machines.map(({ name }) => name)).filter((name) => !known.has(name));
}

/** Orders that a died run left and that are over: nothing is open, or what is open is too old to come. What is young stays for the next run to look after. */
export function settledOrders(orders: readonly OrderRecord[], nowMs: number): OrderRecord[] {
  return orders.filter((order) => order.machines.length === 0 || nowMs - Date.parse(order.askedAt) > LIST_LAG_MS);
}
