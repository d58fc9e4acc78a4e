/** `belt rm RANGE`: destroys machines, and forgets those that belt did not make; one that is absent is "already gone". */
import type { Outcome } from '../../errors.ts';
import { clusterExists } from '../../inventory/cluster.ts';
import { readCurrent, writeCurrent } from '../../inventory/home.ts';
import type { MachineRecord } from '../../inventory/state.ts';
import { destroyMachines } from '../../provision/bulk.ts';
import { compressNames } from '../../range/compress.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { reportOutcomes } from '../power.ts';
import { forgetNodes } from '../forget-nodes.ts';
import { forgettingDrivers, readRanges, selectMachines } from '../ranges.ts';
import { noCluster } from '../unknown-machines.ts';

export const command = defineCommand({
  positionals: { ranges: 'many' },
  options: { force: { type: 'boolean', default: false, describe: 'even if a quorum is lost, or a name is also a file here' } },
  examples: ["belt rm --yes 'node[1:4]'"],
  async run(ctx, args) {
    const names = readRanges(ctx, args.ranges, { refuseFiles: { force: args.force } });
    const cluster = ctx.cluster();
    if (!cluster.exists) ctx.ui.note(noCluster(cluster).message);
    const { machines } = await selectMachines(ctx, cluster, names);
    const present = machines.map((machine) => machine.name);
    if (present.length > 0) {
      await ctx.guard(cluster, present, 'rm', args.force);
      await ctx.ui.confirm(`${await whatHappens(ctx, machines)} of cluster ${cluster.name}?`);
    }
    const destroyed = present.length === 0 || !clusterExists(ctx.home, cluster.name) ? [] : await removeMachines(ctx, present, args.force);
    const byName = new Map(destroyed.map((outcome) => [outcome.name, outcome]));
    reportOutcomes(ctx, names.map((name) => byName.get(name) ?? { name, ok: true, value: undefined, note: 'already gone' }), 'removed');
  },
});

/** `Destroy machine node1 and forget 2 machines mg[0:1], which go on running,`: what a driver did not make it does not destroy. */
async function whatHappens(ctx: Context, machines: readonly MachineRecord[]): Promise<string> {
  const kept = await forgettingDrivers(ctx, machines);
  const some = (those: readonly MachineRecord[]): string => `${those.length === 1 ? 'machine' : `${those.length} machines`} ${compressNames(those.map(({ name }) => name))}`;
  const [hosts, ours] = [machines.filter(({ driver }) => kept.has(driver)), machines.filter(({ driver }) => !kept.has(driver))];
  const words = [
    ...(ours.length > 0 ? [`destroy ${some(ours)}`] : []),
    ...(hosts.length > 0 ? [`forget ${some(hosts)}, which ${hosts.length === 1 ? 'goes' : 'go'} on running,`] : []),
  ].join(' and ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Destroys machines of the current cluster under its lock; one that was active is so no more. */
async function removeMachines(ctx: Context, names: readonly string[], force: boolean): Promise<Outcome[]> {
  return ctx.change(async ({ store }) => {
    const cluster = { ...ctx.cluster(), state: store.state };
    const { machines } = await selectMachines(ctx, cluster, names);
    // Once more, now that no other belt can take managers away: it may have done so while the question was open.
    await ctx.guard(cluster, names, 'rm', force);
    const outcomes = await ctx.ui.progress('removing', machines.length, () => destroyMachines(store, machines, (name) => ctx.driver(name), ctx.ports.now, ctx.signal));
    await forgetNodes(ctx, outcomes.filter(({ ok }) => ok).map(({ name }) => name));
    const current = readCurrent(ctx.home);
    const active = current.active[ctx.clusterName];
    if (active !== undefined && outcomes.some((outcome) => outcome.ok && outcome.name === active)) {
      const { [ctx.clusterName]: _gone, ...rest } = current.active;
      writeCurrent(ctx.home, { ...current, active: rest });
    }
    return outcomes;
  });
}
