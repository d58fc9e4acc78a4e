/** What exists: the lists of all drivers in play, laid over what belt remembers. The clouds win; a cloud that is down is shown as such and takes no other with it. */
import type { BeltError } from '../errors.ts';
import type { ClusterState } from '../inventory/state.ts';
import { type ClusterTag, type Driver, ListedInPart, type Machine } from './driver.ts';
import { runAll } from './run-all.ts';

/** A driver, or one region of it, that did not answer. */
export interface Down {
  readonly driver: string;
  /** Null: none of its regions did. */
  readonly region: string | null;
  readonly error: BeltError;
}

/** A driver's answer. */
export interface Sweep {
  readonly driver: string;
  readonly machines: readonly Machine[];
  readonly down: readonly Down[];
}

export interface Fleet {
  /** Every machine, in the order of names; those of a driver or region that is down as remembered, with status `unknown`. */
  readonly machines: readonly Machine[];
  readonly down: readonly Down[];
  /** Listed by a cloud and remembered by nobody. */
  readonly strangers: readonly Machine[];
  /** Remembered and not listed by its cloud. */
  readonly missing: readonly Machine[];
  /** Several machines of one name: the ones beyond the first, which is the remembered one where there is one. */
  readonly doubles: readonly Machine[];
}

/** The drivers that machines, orders or removals of the state are of, sorted. */
export function driversInPlay(state: Readonly<ClusterState>): string[] {
  const records = [...Object.values(state.machines), ...Object.values(state.orders), ...Object.values(state.removals)];
  return [...new Set(records.map((record) => record.driver))].sort();
}

/** Drivers asked at once: as many as there are, so that a slow cloud holds up nobody. */
export const DRIVERS_AT_ONCE = 8;

/** Asks the drivers, all at once: one list each. Rejects only when interrupted. */
export async function sweep(drivers: readonly Driver[], tag: ClusterTag, signal: AbortSignal): Promise<Sweep[]> {
  const lists = await runAll(drivers, (driver) => driver.list(tag, signal), { limit: DRIVERS_AT_ONCE, signal, nameOf: (driver) => driver.name });
  signal.throwIfAborted();
  return lists.map((list) => {
    const { name: driver } = list;
    if (list.ok) return { driver, machines: list.value, down: [] };
    const { error } = list;
    if (!(error instanceof ListedInPart)) return { driver, machines: [], down: [{ driver, region: null, error }] };
    return { driver, machines: error.machines, down: [...error.regions].map(([region, why]) => ({ driver, region, error: why })) };
  });
}

/** Whether nothing is known now of what stands there. */
export function isDown(down: readonly Down[], place: { readonly driver: string; readonly region: string }): boolean {
  return down.some(({ driver, region }) => driver === place.driver && (region === null || region === place.region));
}

/** `ec2`, or `ec2 in eu-west-1`. */
export function nameOfDown({ driver, region }: Down): string {
  return region === null ? driver : `${driver} in ${region}`;
}

/** Lays the lists over the state. Pure. */
export function mergeFleet(state: Readonly<ClusterState>, sweeps: readonly Sweep[]): Fleet {
  const down = sweeps.flatMap((one) => one.down);
  const asked = new Set(sweeps.map((one) => one.driver));
  const byName = new Map<string, Machine>();
  const strangers: Machine[] = [];
  const doubles: Machine[] = [];
  for (const listed of sweeps.flatMap((one) => one.machines)) {
    const known = state.machines[listed.name];
    const machine = withMemory(listed, known);
    const other = byName.get(machine.name);
    if (known === undefined || known.id !== machine.id || known.driver !== machine.driver) strangers.push(machine);
    if (other === undefined) byName.set(machine.name, machine);
    else if (known?.id === machine.id) {
      doubles.push(other);
      byName.set(machine.name, machine);
    } else doubles.push(machine);
  }
  const missing: Machine[] = [];
  for (const machine of Object.values(state.machines)) {
    if (byName.has(machine.name)) continue;
    const judged = asked.has(machine.driver) && !isDown(down, machine);
    // Its removal was asked and its cloud has it no more: it is gone, even if the run that asked died.
    if (judged && state.removals[machine.name] !== undefined) continue;
    if (judged) missing.push(machine);
    byName.set(machine.name, { ...machine, status: 'unknown' });
  }
  const machines = [...byName.values()].sort((a, b) => compareNames(a.name, b.name));
  return { machines, down, strangers, missing, doubles };
}

/** Some clouds list a machine's type without its memory, which was known when it was made. */
function withMemory(listed: Machine, known: Machine | undefined): Machine {
  return listed.memoryMb === null && known?.id === listed.id && known.size === listed.size ? { ...listed, memoryMb: known.memoryMb } : listed;
}

/**
 * `node2` before `node10`: runs of digits by value, all else by code. For what names are made of that is the order of a numeric Intl.Collator,
 * whose making takes longer than a list does.
 */
export function compareNames(a: string, b: string): number {
  let start = 0;
  while (start < a.length && a[start] === b[start]) start += 1;
  while (/\d/.test(a[start - 1] ?? '')) start -= 1;
  const [left = '', right = ''] = [a, b].map((name) => /^\d*/.exec(name.slice(start))?.[0]);
  if (left === '' || right === '') return byCode(a, b);
  const [x = '', y = ''] = [left, right].map((digits) => digits.replace(/^0+/, ''));
  return x.length - y.length || byCode(x, y) || compareNames(a.slice(start + left.length), b.slice(start + right.length)) || byCode(a, b);
}

function byCode(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
