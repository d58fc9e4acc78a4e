/** Ranges of a command line → names, with the traps of shells watched. */
import { existsSync } from 'node:fs';
import path from 'node:path';

import { BeltError } from '../errors.ts';
import type { MachineRecord } from '../inventory/state.ts';
import { expandRanges } from '../range/expand.ts';
import { driversInPlay, mergeFleet, nameOfDown, sweep } from '../provision/fleet.ts';
import { unknownMachines } from './unknown-machines.ts';
import type { ClusterView, Context } from './context.ts';

/** A shell turns `node[1:10]` into `node1` where a file of that name lies: a bare name that is a file here may be meant as a range. */
export interface RangeOptions {
  /** Refuse (unless forced) what would only be warned about: for what cannot be undone. */
  readonly refuseFiles?: { readonly force: boolean };
}

/** The names. Throws `range`, or `refused` for a bare name that is a file here. */
export function readRanges(ctx: Context, texts: readonly string[], options: RangeOptions = {}): string[] {
  const names = expandRanges(texts);
  const files = texts.filter((text) => /^[a-z0-9-]+$/.test(text) && existsSync(path.join(ctx.ports.cwd, text)));
  const [first] = files;
  if (first !== undefined) {
    const message = `'${first}' is also a file here: shells turn a range such as ${first.replace(/\d+$/, '')}[1:10] into it`;
    if (options.refuseFiles?.force === false) throw new BeltError('refused', message, { next: 'quote ranges; with --force the name is meant as it stands' });
    if (options.refuseFiles === undefined) ctx.ui.warn(`${message}; quote ranges`);
  }
  return names;
}

export interface Selection {
  readonly machines: readonly MachineRecord[];
  /** Names that no machine has. */
  readonly absent: readonly string[];
}

/** The machines of these names as remembered; a name that is not is looked for in the clouds' lists before it counts as absent. */
export async function selectMachines(ctx: Context, cluster: ClusterView, names: readonly string[]): Promise<Selection> {
  const known = cluster.state.machines;
  if (names.every((name) => known[name] !== undefined)) return { machines: names.map((name) => known[name] as MachineRecord), absent: [] };
  const { machines } = await currentFleet(ctx, cluster);
  const byName = new Map(machines.map((machine) => [machine.name, { ...machine, tags: { ...machine.tags } }]));
  return { machines: names.flatMap((name) => byName.get(name) ?? []), absent: names.filter((name) => !byName.has(name)) };
}

/** The drivers' lists now, laid over the state. Says which driver, or which region of one, does not answer. */
export async function currentFleet(ctx: Context, cluster: ClusterView) {
  if (!cluster.exists) return mergeFleet(cluster.state, []);
  const drivers = await clusterDrivers(ctx, cluster);
  const fleet = mergeFleet(cluster.state, await sweep(drivers, cluster.tag, ctx.signal));
  for (const one of fleet.down) ctx.ui.warn(`${nameOfDown(one)} does not answer, its machines are shown as last seen: ${one.error.message}`);
  return fleet;
}

/** The drivers of the cluster's machines and orders, and the configured one. */
export async function clusterDrivers(ctx: Context, cluster: ClusterView) {
  const names = new Set(driversInPlay(cluster.state));
  if (names.size === 0) names.add((await ctx.settings()).driver);
  return ctx.drivers(names);
}

/** Of the machines' drivers those that only forget what is removed: they did not make it. */
export async function forgettingDrivers(ctx: Context, machines: readonly { readonly driver: string }[]): Promise<ReadonlySet<string>> {
  return new Set((await ctx.drivers(machines.map(({ driver }) => driver))).filter(({ abilities }) => !abilities.destroys).map(({ name }) => name));
}

/** As {@link selectMachines}, where every name must have a machine. Throws `unknown_machine` before anything is done. */
export async function requireMachines(ctx: Context, cluster: ClusterView, names: readonly string[]): Promise<readonly MachineRecord[]> {
  const { machines, absent } = await selectMachines(ctx, cluster, names);
  if (absent.length > 0) unknownMachines(cluster, names, machines);
  return machines;
}
