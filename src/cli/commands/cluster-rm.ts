/** `belt cluster rm NAME`: destroys the machines of a cluster, then forgets it, keys and CA included. */
import { rmSync } from 'node:fs';

import { BeltError, isBeltError } from '../../errors.ts';
import { clusterFiles, openCluster, viewCluster } from '../../inventory/cluster.ts';
import { clusterFolder, DEFAULT_CLUSTER, listClusters, readCurrent, writeCurrent } from '../../inventory/home.ts';
import type { ClusterState } from '../../inventory/state.ts';
import { destroyMachines } from '../../provision/bulk.ts';
import { LIST_LAG_MS, unseenMachines } from '../../provision/create-plan.ts';
import type { Machine } from '../../provision/driver.ts';
import { driversInPlay, type Fleet, isDown, nameOfDown } from '../../provision/fleet.ts';
import { compressNames } from '../../range/compress.ts';
import { outcomeError } from '../../ui/error-text.ts';
import { defineCommand } from '../command.ts';
import { type ClusterView, Context } from '../context.ts';
import { removeUnusedParts } from '../findings.ts';
import { currentFleet } from '../ranges.ts';
import { snapshotsOn } from '../snapshots.ts';

export const command = defineCommand({
  positionals: { name: 'one' },
  options: { force: { type: 'boolean', default: false, describe: 'even if a cloud does not answer, or may still make what was asked for' } },
  async run(outer, args) {
    // All below is about the named cluster, whichever is current.
    const ctx = new Context(outer.ports, outer.ui, { ...outer.flags, cluster: args.name }, outer.command);
    clusterFolder(ctx.home, args.name);
    if (!listClusters(ctx.home).includes(args.name)) {
      ctx.ui.report({ cluster: args.name, note: 'already gone' }, (ui) => ui.line(`${args.name}: already gone`));
      return;
    }
    viewCluster(ctx.home, args.name);
    const cluster = ctx.cluster();
    const fleet = await currentFleet(ctx, cluster);
    if (fleet.down.length > 0 && !args.force) {
      throw new BeltError('refused', `${fleet.down.map(nameOfDown).join(', ')} does not answer: its machines would be left without anybody who knows them`, { next: 'try again later, or --force' });
    }
    if (!args.force) refuseUnseen(ctx, cluster.state, fleet);
    const machines = reachable(fleet);
    const drivers = new Set([...driversInPlay(cluster.state), ...machines.map(({ driver }) => driver), (await ctx.settings()).driver]);
    // No quorum to guard: nobody is left who could lean on it, and the question says that all of it goes.
    await ctx.ui.confirm(`Remove cluster ${args.name} with ${machines.length === 1 ? 'its one machine' : `its ${machines.length} machines`}, its CA and keys?`);
    const { store, close } = openCluster(ctx.home, args.name, ctx.command, ctx.ports.now());
    try {
      // Forgotten machines would cost money for ever: what came since the question is not covered by its answer.
      const fleetNow = await currentFleet(ctx, { ...cluster, state: store.state });
      if (!args.force) refuseUnseen(ctx, store.state, fleetNow);
      const since = reachable(fleetNow).filter(({ id }) => !machines.some((one) => one.id === id));
      if (since.length > 0) throw new BeltError('refused', `${compressNames(since.map(({ name }) => name))} came to cluster ${args.name} just now; nothing was removed`, { next: 'the same command again asks about all of them' });
      const outcomes = await ctx.ui.progress('removing', machines.length, () => destroyMachines(store, machines, (name) => ctx.driver(name), ctx.ports.now, ctx.signal));
      const error = outcomeError(outcomes, 'removed') ?? (await partsError(ctx, cluster, drivers));
      if (error !== null && !(args.force && outcomes.every(({ ok }) => ok))) throw error;
      if (error !== null) ctx.ui.warn(`left behind: ${error.message}`);
      const lost = fleetNow.machines.filter((machine) => isDown(fleetNow.down, machine));
      if (lost.length > 0) ctx.ui.warn(`left behind on what did not answer, and known to nobody now: ${lost.map(({ name, driver, region, id }) => `${name} (${driver}, ${region}, ${id})`).join(', ')}`);
      const kept = await snapshotsOn(ctx, cluster, drivers);
      if (kept.length > 0) ctx.ui.warn(`${kept.length} snapshots stay, and cost what snapshots cost: ${kept.map(({ driver, id }) => `${driver} ${id}`).join(', ')}`);
      rmSync(clusterFiles(ctx.home, args.name).folder, { recursive: true, force: true });
    } finally {
      close();
    }
    const { cluster: current, active } = readCurrent(ctx.home);
    const { [args.name]: _gone, ...rest } = active;
    writeCurrent(ctx.home, { cluster: current === args.name ? (listClusters(ctx.home)[0] ?? DEFAULT_CLUSTER) : current, active: rest });
    ctx.ui.report({ cluster: args.name, removed: machines.map((machine) => machine.name) }, (ui) => ui.line(`${args.name}: removed`));
  },
});

/** A create that died a moment ago may have made machines that no list has yet. Throws `refused`: nobody would know them once the cluster is forgotten. */
function refuseUnseen(ctx: Context, { orders }: Readonly<ClusterState>, { machines, doubles }: Fleet): void {
  const open = Object.values(orders).filter(({ driver }) => ctx.listLags(driver));
  const unseen = unseenMachines(open, new Set([...machines, ...doubles].map(({ name }) => name)), ctx.ports.now());
  if (unseen.length === 0) return;
  throw new BeltError('refused', `a create of less than ${LIST_LAG_MS / 60_000} minutes ago is not over: ${compressNames(unseen)} may still come; nothing was removed`, {
    next: 'the same create again takes in what was made; or wait until it is that old; --force forgets it',
  });
}

/** Removes networks, keys and what else is left; what cannot go, null when nothing. Once the cluster is forgotten nobody would find it. */
async function partsError(ctx: Context, cluster: ClusterView, drivers: Iterable<string>): Promise<BeltError | null> {
  try {
    return outcomeError(await removeUnusedParts(ctx, cluster, [...drivers]), 'removed');
  } catch (error) {
    if (!isBeltError(error) || error.code === 'interrupted') throw error;
    return error;
  }
}

/** All machines of the clouds that answer, doubles among them. */
function reachable({ machines, doubles, down }: Fleet): Machine[] {
  return [...machines.filter((machine) => !isDown(down, machine)), ...doubles];
}
