/** `belt snapshot RANGE`: a copy of each machine's disk, from which `create --image` makes new ones. */
import type { Outcome } from '../../errors.ts';
import type { Machine } from '../../provision/driver.ts';
import type { Snapshot, Snapshots } from '../../provision/snapshots.ts';
import { defineCommand } from '../command.ts';
import { reportOutcomes } from '../power.ts';
import { readRanges, requireMachines } from '../ranges.ts';
import { checkLabel, noSnapshots } from '../snapshots.ts';

export const command = defineCommand({
  positionals: { ranges: 'many' },
  options: { label: { type: 'string', requiresArg: true, describe: "what the snapshots are called after the machine; today's date (UTC) when left out" } },
  examples: ["belt snapshot 'node[1:3]' --label before-upgrade", "belt create 2gb 'copy[1:3]' --image node1@before-upgrade", "belt snapshot rm 'node[1:3]@before-upgrade'"],
  async run(ctx, args) {
    const label = checkLabel(args.label ?? new Date(ctx.ports.now()).toISOString().slice(0, 10));
    const names = readRanges(ctx, args.ranges);
    const cluster = ctx.cluster();
    const machines = await requireMachines(ctx, cluster, names);
    const groups: { group: Machine[]; snapshots: Snapshots }[] = [];
    for (const [driver, group] of Map.groupBy(machines, (machine) => machine.driver)) {
      const snapshots = await ctx.beside(driver, 'snapshots');
      if (snapshots === null) throw noSnapshots(driver);
      groups.push({ group, snapshots });
    }
    const byName = new Map<string, Outcome<Snapshot>>();
    await ctx.ui.progress('taking snapshots', names.length, async (report) => {
      for (const { group, snapshots } of groups) {
        for await (const outcome of snapshots.take(cluster.tag, group, label, ctx.signal)) {
          byName.set(outcome.name, outcome);
          const done = [...byName.values()].filter(({ ok }) => ok).length;
          report({ done, failed: byName.size - done });
        }
      }
    });
    const outcomes = names.flatMap((name): Outcome[] => {
      const outcome = byName.get(name);
      if (outcome === undefined) return [];
      return [outcome.ok ? { name, ok: true, value: undefined, note: outcome.note ?? `snapshot ${outcome.value.name} taken` } : outcome];
    });
    reportOutcomes(ctx, outcomes, 'taken a snapshot of');
  },
});
