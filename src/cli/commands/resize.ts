/** `belt resize RANGE… SIZE`: another size for machines that exist. */
import { BeltError } from '../../errors.ts';
import { onMachines } from '../../provision/bulk.ts';
import { record } from '../../provision/create.ts';
import { sweep } from '../../provision/fleet.ts';
import { resolveSize } from '../../provision/sizes.ts';
import { defineCommand } from '../command.ts';
import { reportOutcomes } from '../power.ts';
import { readRanges, requireMachines } from '../ranges.ts';

export const command = defineCommand({
  positionals: { ranges: 'many' },
  options: { force: { type: 'boolean', default: false, describe: 'even if a quorum is lost while they restart' } },
  examples: ["belt resize 'node[1:4]' 16gb"],
  async run(ctx, args) {
    const size = args.ranges.at(-1) ?? '';
    if (args.ranges.length < 2) throw new BeltError('usage', 'SIZE is missing', { next: 'belt resize RANGE… SIZE' });
    const names = readRanges(ctx, args.ranges.slice(0, -1));
    const cluster = ctx.cluster();
    const machines = await requireMachines(ctx, cluster, names);
    const types = new Map<string, string>();
    for (const [driverName, group] of Map.groupBy(machines, (machine) => machine.driver)) {
      const driver = await ctx.driver(driverName);
      if (!driver.abilities.resize) throw new BeltError('failed', `${driverName} cannot resize machines; nothing was done`, { next: 'create new ones in the other size' });
      types.set(driverName, resolveSize(await driver.types(ctx.signal), size, [...new Set(group.map((machine) => machine.region))]).type);
    }
    const outcomes = await ctx.change(async ({ store, tag }) => {
      await ctx.guard(cluster, names, 'resize', args.force);
      const done = await ctx.ui.progress('resizing', names.length, () =>
        onMachines(machines, (name) => ctx.driver(name), (driver, ids) => driver.resize(ids, types.get(driver.name) ?? size, ctx.signal)));
      const drivers = await ctx.drivers(types.keys());
      const seen = (await sweep(drivers, tag, ctx.signal)).flatMap((one) => one.machines).filter((machine) => names.includes(machine.name));
      await store.change((state) => seen.forEach((machine) => record(state, machine)));
      return done;
    });
    reportOutcomes(ctx, outcomes, 'resized');
  },
});
