/** Power, resize and destroy of named machines over several drivers, the intent of a removal written down first. */
import { asBeltError, BeltError, type Outcome } from '../errors.ts';
import type { StateStore } from '../inventory/store.ts';
import { forget } from './create.ts';
import type { Driver, Machine } from './driver.ts';
import { DRIVERS_AT_ONCE } from './fleet.ts';
import { runAll } from './run-all.ts';

type Act = (driver: Driver, ids: readonly string[]) => Promise<Outcome[]>;

/** Runs `act` once per driver with all its machines; outcomes by machine name, in the order given. Never rejects. */
export async function onMachines(machines: readonly Machine[], driverOf: (name: string) => Promise<Driver>, act: Act): Promise<Outcome[]> {
  const groups = Map.groupBy(machines, (machine) => machine.driver);
  const byName = new Map<string, Outcome>();
  const never = new AbortController().signal;
  // Drivers stop by themselves when interrupted and say what they did; a group that has not begun must say so too.
  await runAll([...groups], async ([driverName, group]) => {
    const nameOf = new Map(group.map((machine) => [machine.id, machine.name]));
    try {
      const driver = await driverOf(driverName);
      for (const outcome of await act(driver, group.map((machine) => machine.id))) {
        const name = nameOf.get(outcome.name);
        if (name !== undefined) byName.set(name, { ...outcome, name });
      }
    } catch (error) {
      for (const { name } of group) byName.set(name, { name, ok: false, error: asBeltError(error, 'driver') });
    }
  }, { limit: DRIVERS_AT_ONCE, signal: never, nameOf: ([driverName]) => driverName });
  const silent = (name: string): Outcome => ({ name, ok: false, error: new BeltError('driver', 'the driver said nothing about it', { next: 'belt ls' }) });
  return machines.map(({ name }) => byName.get(name) ?? silent(name));
}

/** Destroys the machines and forgets those that are gone. A run that dies in between is finished by the next list. */
export async function destroyMachines(store: StateStore, machines: readonly Machine[], driverOf: (name: string) => Promise<Driver>, now: () => number, signal: AbortSignal): Promise<Outcome[]> {
  if (machines.length === 0) return [];
  const askedAt = new Date(now()).toISOString();
  await store.change((state) => {
    for (const { name, driver, id } of machines) state.removals[name] = { driver, id, askedAt };
  });
  const outcomes = await onMachines(machines, driverOf, (driver, ids) => driver.destroy(ids, signal));
  await store.change((state) => {
    for (const outcome of outcomes) {
      if (outcome.ok) forget(state, outcome.name);
      else if (outcome.error.code !== 'interrupted' && outcome.error.code !== 'outcome_unknown') delete state.removals[outcome.name];
    }
  });
  return outcomes;
}
